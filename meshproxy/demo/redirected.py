"""Pods as network namespaces, with Istio's redirect rules and the sidecar as its own user."""

from __future__ import annotations

import errno
import os
import socket
import sys
from contextlib import AbstractContextManager

from meshproxy.demo import namespaces
from meshproxy.demo.certificates import issue
from meshproxy.demo.errors import Unavailable
from meshproxy.demo.rules import redirections
from meshproxy.demo.run import Run
from meshproxy.demo.shop import Pod, Service, Shop, read_shop
from meshproxy.demo.stage import Calls, demo_texts, lay_out, proxy, various
from meshproxy.demo.system import has, last_line, program, run
from meshproxy.demo.tables import paragraph, table

_PROXY_USER = 1337
_APP_USER = 1000
_NODE = "node"
_NODE_ADDRESS = "10.77.0.1"
_STATUS, _METRICS = 15021, 15090
_TOOLS = {
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
}
# As Istio's injection template sets them: everything in and out, but for the sidecar's own ports.
_RULES = ("-m", "REDIRECT", "-i", "*", "-x", "", "-b", "*", "-d", "15090,15021,15020")
_NOBODY_HOME = 0.3  # seconds to wait for an answer from an address that nobody has


class Redirected:
    """Raises `Unavailable` where root, a tool or the kernel's support is missing."""

    def __init__(self, run_: Run) -> None:
        self._run = run_
        _check_user_and_tools()
        texts = demo_texts()
        self._shop = read_shop(texts.values())
        lay_out(run_, texts)
        self._check_sidecar_user()
        issue(run_, self._shop, _PROXY_USER)
        addresses = {run_.namespace(pod.name): pod.ip for pod in self._shop.pods}
        namespaces.make(run_.namespace(_NODE), _NODE_ADDRESS, addresses)
        self._before = self._call_virtual_address()
        for pod in self._shop.pods:
            self._set_rules(pod)

    @property
    def shop(self) -> Shop:
        return self._shop

    def describe(self) -> str:
        return (
            f"{len(self._shop.pods)} pods as network namespaces, each with its app "
            f"(uid {_APP_USER}), its redirect rules and its sidecar (uid {_PROXY_USER})."
        )

    def around(self) -> AbstractContextManager[None]:
        return namespaces.entered(self._run.namespace(_NODE))

    def app(self, pod: Pod, argv: list[str]) -> list[str]:
        return [*self._inside(pod), *_as(_APP_USER), *argv]

    def sidecar(self, pod: Pod) -> list[str]:
        return [*self._inside(pod), *_as(_PROXY_USER), *proxy(self._run, pod)]

    def door(self, pod: Pod, service: Service) -> tuple[str, int]:
        return service.ip, service.port

    def status(self, pod: Pod) -> tuple[str, int]:
        return pod.ip, _STATUS

    def metrics(self, pod: Pod) -> tuple[str, int]:
        return pod.ip, _METRICS

    def proof(self, calls: Calls) -> str:
        text = (
            f"order called {various(calls, 'called')}, which no machine has (before the rules were "
            f"set, a call there ended with {self._before!r}); {various(calls, 'pod')} answered. "
            f"Their apps saw {various(calls, 'caller')} as the caller, which is their own sidecar."
        )
        counted = {pod.name: redirections(self._inside(pod)) for pod in self._shop.pods}
        rows = [(name, found.get("out", 0), found.get("in", 0)) for name, found in counted.items()]
        header = ("connections that the rules redirected", "out", "in")
        return f"{paragraph(text)}\n\n{table(header, rows)}"

    def hints(self) -> list[str]:
        order = self._run.namespace("order")
        return [
            f"ip netns exec {order} {' '.join(program('request', 'GET', '/clusters'))}",
            f"ip netns exec {order} iptables -t nat -nvL",
        ]

    def _inside(self, pod: Pod) -> list[str]:
        return ["nsenter", f"--net={namespaces.path(self._run.namespace(pod.name))}"]

    def _check_sidecar_user(self) -> None:
        """The sidecar's user must be able to run this program and read the configuration."""
        config = str(self._run.folder / "config" / "mesh.yaml")
        script = f"import meshproxy; open({config!r}).read()"
        done = run([*_as(_PROXY_USER), sys.executable, "-c", script], cwd=str(self._run.folder))
        if done.returncode != 0:
            raise Unavailable(
                f"uid {_PROXY_USER} can't run this program by {sys.executable} ({last_line(done)})"
            )

    def _call_virtual_address(self) -> str:
        """How a call of the inventory ends while nothing redirects it."""
        service = self._shop.service("inventory")
        with namespaces.entered(self._run.namespace("order")):
            try:
                socket.create_connection((service.ip, service.port), _NOBODY_HOME).close()
            except TimeoutError:
                return "timed out"
            except OSError as error:
                return os.strerror(error.errno or errno.EHOSTUNREACH)
        raise Unavailable(f"{service.ip} answers although it should be nobody's address")

    def _set_rules(self, pod: Pod) -> None:
        done = run([*self._inside(pod), *program("iptables", *_RULES)], cwd=str(self._run.folder))
        if done.returncode != 0:
            raise Unavailable(f"redirect rules can't be set here ({last_line(done)})")


def _check_user_and_tools() -> None:
    if os.geteuid() != 0:
        raise Unavailable("network namespaces and redirect rules need root")
    missing = {name: package for name, package in _TOOLS.items() if not has(name)}
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        raise Unavailable(
            f"{', '.join(missing)} is not installed (on Debian: apt-get install {packages})"
        )


def _as(user: int) -> list[str]:
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
