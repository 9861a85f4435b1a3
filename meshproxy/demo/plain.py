"""The same without redirect rules: apps call their sidecar's ports (`captureMode: NONE`)."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext

from meshproxy.demo.certificates import issue
from meshproxy.demo.errors import DemoError
from meshproxy.demo.files import examples, fill, yaml_texts
from meshproxy.demo.run import Run
from meshproxy.demo.shop import Pod, Service, Shop, read_shop
from meshproxy.demo.stage import Calls, demo_texts, lay_out, proxy, various
from meshproxy.demo.tables import paragraph

# Every address that begins so is this machine; the files' own addresses are nobody's here.
_LOOPBACK = "127"
_STATUS, _METRICS = 15021, 15090
_TRIES = 500


class Plain:
    """Every pod has loopback addresses. Ports that are in use are replaced by free ones."""

    def __init__(self, run: Run) -> None:
        self._run = run
        texts = {**demo_texts(), **yaml_texts(examples() / "plain-ports")}
        shop = read_shop(texts.values())
        known = [*(pod.ip for pod in shop.pods), *(service.ip for service in shop.services)]
        addresses = {ip: local(ip) for ip in known}
        texts = {name: fill(text, addresses) for name, text in texts.items()}
        shop = read_shop(texts.values())
        ips = [pod.ip for pod in shop.pods]
        wanted = {**shop.ports(), _STATUS: ips, _METRICS: ips}
        ports = choose_ports(wanted)
        self._status, self._metrics = ports[_STATUS], ports[_METRICS]
        words = {str(port): str(free) for port, free in ports.items()}
        texts = {name: fill(text, words) for name, text in texts.items()}
        self._shop = read_shop(texts.values())
        lay_out(run, texts)
        issue(run, self._shop)

    @property
    def shop(self) -> Shop:
        return self._shop

    def describe(self) -> str:
        return (
            f"{len(self._shop.pods)} pods on loopback addresses, each with its app and its sidecar."
        )

    def around(self) -> AbstractContextManager[None]:
        return nullcontext()

    def app(self, pod: Pod, argv: list[str]) -> list[str]:
        return argv

    def sidecar(self, pod: Pod) -> list[str]:
        off = [f"--{name}-port=0" for name in ("outbound", "inbound", "admin")]
        ports = [f"--status-port={self._status}", f"--prometheus-port={self._metrics}"]
        where = ["--workload", pod.workload, "--bind", pod.ip]
        return proxy(self._run, pod, *where, *off, *ports)

    def door(self, pod: Pod, service: Service) -> tuple[str, int]:
        return pod.ip, service.port

    def status(self, pod: Pod) -> tuple[str, int]:
        return pod.ip, self._status

    def metrics(self, pod: Pod) -> tuple[str, int]:
        return pod.ip, self._metrics

    def proof(self, calls: Calls) -> str:
        return paragraph(
            f"order called {various(calls, 'called')}, a port that its own sidecar has opened, and "
            f"{various(calls, 'pod')} answered. Nothing is captured without redirect rules: run "
            "the demo as root to see that."
        )

    def hints(self) -> list[str]:
        ip, port = self.metrics(self._shop.pod("order"))
        return [f"curl http://{ip}:{port}/stats/prometheus"]


def local(ip: str) -> str:
    """The loopback address that stands for another: 10.77.0.1 is 127.77.0.1."""
    first, _, rest = ip.partition(".")
    return ip if first == _LOOPBACK else f"{_LOOPBACK}.{rest}"


def choose_ports(wanted: Mapping[int, Iterable[str]]) -> dict[int, int]:
    """For each port the first one from it upwards that is free on all its addresses."""
    chosen: dict[int, int] = {}
    for port, ips in wanted.items():
        addresses = list(ips)
        candidates = range(port, min(port + _TRIES, 65536))
        taken = set(chosen.values()) | (set(wanted) - {port})
        for candidate in candidates:
            if candidate not in taken and all(_free(ip, candidate) for ip in addresses):
                chosen[port] = candidate
                break
        else:
            raise DemoError(
                f"No free port from {port} to {candidates[-1]} on {', '.join(addresses)}."
            )
    return chosen


def _free(ip: str, port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((ip, port))
            sock.listen(1)
        except OSError:
            return False
    return True
