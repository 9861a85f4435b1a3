"""Addresses, rules and routes: by `pyroute2`, or by `ip` in an image that leaves that out.

Everything here may be done twice: what is there already, or gone already, is no error.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol

from iptables.errors import Failed
from iptables.execute import Runner
from iptables.routes import PASSTHROUGH_ADDRESS, PRIORITY, PolicyRoute
from iptables.rules.rule import Family

ADD: Final = "add"
DELETE: Final = "del"
# Already there: no error when adding.
PRESENT: Final = (errno.EEXIST,)
PRESENT_WORDS: Final = ("File exists", "already assigned")
# Not there, or a family or policy routing that the kernel does not have: no error when deleting.
ABSENT: Final = (errno.ENOENT, errno.ESRCH, errno.EAFNOSUPPORT, errno.EOPNOTSUPP)
ABSENT_WORDS: Final = (
    "No such file",
    "No such process",
    "table does not exist",
    "Address family not supported",
    "Operation not supported",
)
FAMILIES: Final[Mapping[Family, int]] = {
    Family.V4: socket.AF_INET,
    Family.V6: socket.AF_INET6,
}
FLAGS: Final[Mapping[Family, str]] = {Family.V4: "-4", Family.V6: "-6"}


class Links(Protocol):
    """What changes addresses and routes; every method says whether anything changed."""

    def address(self) -> bool:
        """Add the address that the sidecar binds towards the app to `lo`."""
        ...

    def rule(self, operation: str, route: PolicyRoute) -> bool:
        """Add or delete the rule that sends marked packets to a table."""
        ...

    def route(self, operation: str, route: PolicyRoute) -> bool:
        """Add or delete the table's one route."""
        ...


def links(runner: Runner) -> Links:
    """The better of the two ways that this image has. Raises `Failed` where it has none."""
    try:
        # Here and not above: it costs 0.1 s and 13 MB, and most runs need neither.
        from pyroute2 import IPRoute, NetlinkError
    except ImportError:
        program = runner.find("ip")
        if program is None:
            need = "The Python package pyroute2 or the program ip (iproute2) is needed."
            raise Failed(need) from None
        return ByProgram(runner, program)
    return ByNetlink(IPRoute, NetlinkError)


def _loopback(kernel: Any) -> Any:
    return kernel.link_lookup(ifname="lo")[0]


class ByNetlink:
    """Through the kernel's own interface."""

    def __init__(self, connect: Callable[[], Any], error: type[Exception]) -> None:
        self._connect = connect
        self._error = error

    def address(self) -> bool:
        """`ip -6 addr add ::6/128 dev lo`."""
        with self._connect() as kernel:
            change = partial(
                kernel.addr,
                ADD,
                index=_loopback(kernel),
                address=PASSTHROUGH_ADDRESS,
                prefixlen=128,
                family=socket.AF_INET6,
            )
            return self._settle(ADD, change, f"adding {PASSTHROUGH_ADDRESS} to lo")

    def rule(self, operation: str, route: PolicyRoute) -> bool:
        """`ip rule add fwmark MARK lookup TABLE`."""
        with self._connect() as kernel:
            change = partial(
                kernel.rule,
                operation,
                family=FAMILIES[route.family],
                fwmark=route.mark,
                table=route.table,
                priority=PRIORITY,
            )
            return self._settle(operation, change, f"the rule for packet mark {route.mark}")

    def route(self, operation: str, route: PolicyRoute) -> bool:
        """`ip route add local default dev lo table TABLE`."""
        with self._connect() as kernel:
            change = partial(
                kernel.route,
                operation,
                family=FAMILIES[route.family],
                dst=route.everywhere,
                oif=_loopback(kernel),
                table=route.table,
                type="local",
                scope="host",
            )
            return self._settle(operation, change, f"the local route in table {route.table}")

    def _settle(self, operation: str, change: Callable[[], object], what: str) -> bool:
        try:
            change()
        except self._error as err:
            code = getattr(err, "code", None)
            if code in (PRESENT if operation == ADD else ABSENT):
                return False
            reason = errno.errorcode.get(code, str(err)) if isinstance(code, int) else str(err)
            raise Failed(f"The kernel refused {what}: {reason}.") from None
        return True


class ByProgram:
    """Through `ip`."""

    def __init__(self, runner: Runner, program: str) -> None:
        self._runner = runner
        self._program = program

    def address(self) -> bool:
        """`ip -6 addr add ::6/128 dev lo`."""
        return self._run("-6", "addr", ADD, f"{PASSTHROUGH_ADDRESS}/128", "dev", "lo")

    def rule(self, operation: str, route: PolicyRoute) -> bool:
        """`ip rule add fwmark MARK lookup TABLE`."""
        marked = ("fwmark", str(route.mark), "lookup", str(route.table))
        priority = ("priority", str(PRIORITY))
        return self._run(FLAGS[route.family], "rule", operation, *marked, *priority)

    def route(self, operation: str, route: PolicyRoute) -> bool:
        """`ip route add local default dev lo table TABLE`."""
        local = ("local", "default", "dev", "lo", "table", str(route.table))
        return self._run(FLAGS[route.family], "route", operation, *local)

    def _run(self, *arguments: str) -> bool:
        result = self._runner.run((self._program, *arguments))
        if result.status == 0:
            return True
        settled = PRESENT_WORDS if ADD in arguments else ABSENT_WORDS
        if any(words in result.errors for words in settled):
            return False
        raise Failed(f"ip {' '.join(arguments)} failed: {result.errors.strip().rstrip('.')}.")
