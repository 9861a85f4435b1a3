"""Whether this pod's traffic reaches the sidecar at all.

A sidecar without redirect rules looks healthy while the app talks past it: no mutual TLS, no
policy. With ``--require-redirect`` it is not ready until a connection of its own has come in
through the rules, and it goes on asking, since rules can be flushed under it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from meshproxy.base.addr import Address
from meshproxy.serve import probe

_log = logging.getLogger(__name__)

_SOON, _LATER = 0.5, 10.0  # seconds to the next question while traffic is not captured, and after
_PATIENCE = 2.0  # seconds for one answer
_DNS = Address("127.0.0.1", 15053)


@dataclass(frozen=True, slots=True)
class Wanted:
    """``families``: "v4", "v6"; whose rules must be there. ``dns``: redirected DNS is served."""

    families: tuple[str, ...] = ()
    dns: bool = False


class CaptureCheck:
    """Asks again and again; ``reason`` is what is wrong, as a sentence, "" if nothing is."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self.reason = "waiting to see that traffic is captured" if wanted != Wanted() else ""

    async def run(self) -> None:
        """Until cancelled; nothing to do where nothing is wanted."""
        while self._wanted != Wanted():
            found = await self.look()
            if found != self.reason:
                _log.log(logging.WARNING if found else logging.INFO, found or "traffic is captured")
            self.reason = found
            await asyncio.sleep(_SOON if found else _LATER)

    async def look(self) -> str:
        """One round of questions; the first thing that is wrong."""
        for target, name, source in (
            (probe.TARGETS[0], "v4", "127.0.0.1"),
            # Towards ::6 the kernel would choose ::6 itself, which the rules exempt.
            (probe.TARGETS[1], "v6", "::1"),
        ):
            if name in self._wanted.families and await _ask(target, source) != probe.ANSWER:
                return (
                    f"traffic is not captured (IP{name}): a connection to {target.ip} port"
                    f" {target.port} did not come in by redirect rules;"
                    " run `meshproxy iptables` first, as root"
                )
        if self._wanted.dns and await _ask(_DNS) is None:
            return (
                "DNS redirect is asked for (ISTIO_META_DNS_CAPTURE), and nothing serves"
                f" {_DNS.ip} port {_DNS.port}: names would not resolve;"
                " this build serves no DNS, so leave the redirect out"
            )
        return ""


async def _ask(target: Address, source: str = "") -> bytes | None:
    """What is answered: b"" if there was a connection without one, None if there was none.

    Without a source it is enough that somebody listens.
    """
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection(
                target.ip, target.port, local_addr=(source, 0) if source else None
            )
            try:
                return await reader.read(len(probe.ANSWER)) if source else b""
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
