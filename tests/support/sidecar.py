"""The real program on ports of its own, without redirect rules: what live tests talk to.

    with App() as app:
        port = free_port()
        text = config(
            service("app", port), workload("app-1", "app", {"http": app.port}),
            plain(egress=[(port, "HTTP")]),
        )
        with Sidecar(text) as proxy:
            assert ask(port, host="app").status == 200
            assert proxy.metrics().value("istio_requests_total") == 1

The program is started as a user would start it and is only known by what it shows: its ports, its
metrics, its logs, its exit status. What it printed is shown when a test fails. Only what was
started here is ever signalled.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.support.peers import LOCAL, PATIENCE, Message, Peer, request, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]

CODECS = ("fast", "h11")
# The codecs of our own, and the references of HTTP/1 and HTTP/2; one worker and two: what is
# promised holds for each.
KINDS = [
    pytest.param((codec, workers), id=f"{codec}-{workers}")
    for codec in CODECS
    for workers in (1, 2)
]

Doc = Mapping[str, Any] | str


# Ports.

_given: set[int] = set()
_ports_lock = threading.Lock()


@functools.cache
def _highest_port() -> int:
    """Under the range from which the kernel gives ports to clients, which would come in between."""
    text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    low = int(text.split()[0])
    return low - 1 if low > 12_000 else 65_535


_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def free_port() -> int:
    """A TCP port that nothing listens on, and that is not given out twice.

    Of several test processes (`pytest -n`) each has ports of its own.
    """
    with _ports_lock:
        while True:
            port = random.randint(10_000, _highest_port())
            if port in _given or port % _PROCESSES != _PROCESS:
                continue
            with socket.socket() as probe:
                try:
                    probe.bind(("0.0.0.0", port))
                except OSError:
                    continue
            _given.add(port)
            return port


# Configuration.


def config(*documents: Doc) -> str:
    """Documents (mappings, or text) as one YAML text."""
    return "---\n".join(
        each if isinstance(each, str) else yaml.safe_dump(dict(each)) for each in documents
    )


def istio(kind: str, name: str, spec: Mapping[str, Any], **metadata: Any) -> dict[str, Any]:
    """An object of Istio's or our own API groups in namespace ``default``."""
    group = {
        "AuthorizationPolicy": "security.istio.io/v1",
        "PeerAuthentication": "security.istio.io/v1",
        "RequestAuthentication": "security.istio.io/v1",
        "Telemetry": "telemetry.istio.io/v1",
        "Settings": "meshproxy.dev/v1alpha1",
    }.get(kind, "networking.istio.io/v1")
    meta = {"name": name, "namespace": "default", **metadata}
    return {"apiVersion": group, "kind": kind, "metadata": meta, "spec": dict(spec)}


def service(name: str, port: int, port_name: str = "http", **spec: Any) -> dict[str, Any]:
    """A Service that takes the workloads with label ``app: NAME``."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": name}, "ports": [{"name": port_name, "port": port}], **spec},
    }


def workload(
    name: str, app: str, ports: Mapping[str, int], version: str = "v1", address: str = LOCAL
) -> dict[str, Any]:
    """An endpoint of service ``app``; ``ports`` are its numbers by the service's port names."""
    labels = {"app": app, "version": version}
    return istio(
        "WorkloadEntry", name, {"address": address, "labels": labels, "ports": dict(ports)}
    )


def me() -> dict[str, Any]:
    """The workload that the sidecar stands beside."""
    labels = {"app": "me", "version": "v9"}
    return istio("WorkloadEntry", "me", {"address": LOCAL, "labels": labels})


def plain(
    egress: Iterable[tuple[int, str]] = (), ingress: Iterable[tuple[int, str, int]] = ()
) -> dict[str, Any]:
    """A Sidecar that opens plain ports: (port, protocol), and for ingress the app's port.

    An empty protocol is an undeclared one.
    """
    spec: dict[str, Any] = {
        "egress": [
            {
                "port": _port(number, protocol),
                "bind": LOCAL,
                "captureMode": "NONE",
                "hosts": ["./*"],
            }
            for number, protocol in egress
        ],
        "ingress": [
            {
                "port": _port(number, protocol),
                "bind": LOCAL,
                "captureMode": "NONE",
                "defaultEndpoint": f"{LOCAL}:{target}",
            }
            for number, protocol, target in ingress
        ],
    }
    return istio("Sidecar", "me", {name: found for name, found in spec.items() if found})


def _port(number: int, protocol: str) -> dict[str, Any]:
    port: dict[str, Any] = {"number": number, "name": f"p{number}"}
    return {**port, "protocol": protocol} if protocol else port


def route_to(host: str, **more: Any) -> dict[str, Any]:
    """One destination of a VirtualService's route."""
    subset = {"subset": more.pop("subset")} if "subset" in more else {}
    return {"destination": {"host": host, **subset}, **more}


def virtual_service(host: str, *routes: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    """The HTTP routes of one service."""
    return istio("VirtualService", host, {"hosts": [host], "http": list(routes), **spec})


def subsets(host: str, *versions: str, **policy: Any) -> dict[str, Any]:
    """A DestinationRule with a subset for each version."""
    found = [{"name": version, "labels": {"version": version}} for version in versions]
    return istio("DestinationRule", host, {"host": host, "subsets": found, **policy})


def settings(**values: Any) -> dict[str, Any]:
    """Our own knobs, in camelCase."""
    return istio("Settings", "settings", values)


def mesh_config(**values: Any) -> dict[str, Any]:
    """MeshConfig as a document of its own."""
    return {"kind": "MeshConfig", **values}


# Running.


class Metrics:
    """One scrape, read by prometheus_client's parser."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {each.name: each for each in text_string_to_metric_families(text)}

    def samples(self, name: str, **labels: str) -> list[Any]:
        """Samples of this exact name whose labels include these."""
        return [
            sample
            for family in self.families.values()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def value(self, name: str, **labels: str) -> float:
        """The sum over those samples; 0 where there is none."""
        return float(sum(sample.value for sample in self.samples(name, **labels)))


class Sidecar:
    """``meshproxy proxy`` as a child process, ready when the block begins and ended with it.

    ``access_log``: whether all requests are logged to a file of its own. ``status`` is the exit
    status that is right at the end. ``faults``: tracebacks in the log are expected.
    ``certs`` is the directory of the workload's certificate.
    """

    def __init__(
        self,
        text: str,
        *,
        codec: str = "fast",
        workers: int = 1,
        arguments: Sequence[str] = (),
        access_log: bool = True,
        drain: str = "1s",
        faults: bool = False,
        ready: bool = True,
        command: Sequence[str] = (),
        certs: Path | None = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sidecar-"))
        # Also if the block is never begun, as where only `argv` is wanted.
        self._remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.folder.chmod(0o755)
        self.config = self.folder / "config.yaml"
        self.write(text)
        self.admin, self.status_port, self.prometheus = free_port(), free_port(), free_port()
        self.access_log = self.folder / "access.log"
        self.workers_wanted = workers
        self._faults = faults
        self._wait_ready = ready
        self._popen: subprocess.Popen[bytes] | None = None
        self._log = self.folder / "stderr"
        self._output = self.folder / "stdout"
        self.argv = [
            *(command or (sys.executable, "-m", "meshproxy")),
            "proxy",
            *("--config", str(self.config)),
            *("--workload", "default/me"),
            *("--http1-codec", codec),
            *("--http2-codec", "fast" if codec == "fast" else "h2"),
            *("--concurrency", str(workers)),
            *("--bind", LOCAL),
            *("--outbound-port", "0"),
            *("--inbound-port", "0"),
            *("--admin-port", str(self.admin)),
            *("--status-port", str(self.status_port)),
            *("--prometheus-port", str(self.prometheus)),
            *("--drain-duration", drain),
            *(("--access-log", str(self.access_log)) if access_log else ()),
            *(("--certs", str(certs)) if certs else ()),
            *arguments,
        ]

    # Life.

    def __enter__(self) -> Self:
        self.start()
        try:
            if self._wait_ready:
                self.wait_ready()
        except BaseException as error:
            self._explain(error)
            self.kill()
            self._remove()
            raise
        return self

    def start(self) -> None:
        with self._log.open("wb") as log, self._output.open("wb") as output:
            self._popen = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                cwd=REPOSITORY,
                start_new_session=True,
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            ended = self.ended
            status = self.stop()
            if error is None:
                assert ended or status == 0, f"ended with {status}"
                assert self._faults or "Traceback" not in self.log, "a traceback in the log"
                wait_until(lambda: not self.family(), lambda: f"{self.family()} to end", patience=3)
        except BaseException as found:
            self._explain(found)
            raise
        finally:
            if error is not None:
                self._explain(error)
            self.kill()
            self._remove()

    def _explain(self, error: BaseException) -> None:
        error.add_note(f"--- the sidecar's log\n{self.log}")
        if self.output:
            error.add_note(f"--- its output\n{self.output}")

    @property
    def pid(self) -> int:
        """The supervisor's."""
        assert self._popen is not None
        return self._popen.pid

    @property
    def ended(self) -> bool:
        return self._popen is None or self._popen.poll() is not None

    def wait(self, patience: float = PATIENCE) -> int:
        """The exit status, once it has ended."""
        assert self._popen is not None
        return self._popen.wait(patience)

    def signal(self, number: int) -> None:
        if not self.ended:
            os.kill(self.pid, number)

    def stop(self, patience: float = PATIENCE) -> int:
        """Ask it to end; the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(patience)

    def kill(self) -> None:
        """End whatever is left of it at once."""
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._popen is not None:
            self._popen.wait()

    def wait_ready(self) -> None:
        """Until every worker carries traffic."""

        def ready() -> bool:
            if self.ended:
                raise ChildProcessError(f"ended with {self.wait()} before it was ready")
            try:
                return self.get(self.status_port, "/healthz/ready").status == 200
            except OSError:
                return False

        wait_until(ready, "readiness")
        wait_until(
            lambda: self.metrics().value("meshproxy_workers") == self.workers_wanted, "all workers"
        )

    # Processes.

    def family(self) -> list[int]:
        """Every process of it that lives: its session is its own, whoever is whose child."""
        if self._popen is None:
            return []
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError, IndexError):
                    # After the name in brackets: state, parent, group, session.
                    words = (entry / "stat").read_text().rpartition(")")[2].split()
                    if int(words[3]) == self.pid and words[0] != "Z":
                        found.append(int(entry.name))
        return sorted(found)

    def workers(self) -> list[int]:
        """The workers' process ids, as the admin API tells them."""
        return list(self.get(self.admin, "/server_info").json["workers"])

    def pss(self) -> dict[int, int]:
        """Proportional memory of each worker, in KiB."""
        return {pid: pss(pid) for pid in self.workers()}

    # What it shows.

    def get(self, port: int, path: str, method: str = "GET") -> Message:
        """One request to one of its own ports."""
        with Peer.connect(port) as client:
            return client.send(request(method, path, "localhost")).answer(method)

    def metrics(self) -> Metrics:
        answer = self.get(self.prometheus, "/stats/prometheus")
        assert answer.status == 200, answer.text
        return Metrics(answer.text)

    def config_dump(self) -> Any:
        return self.get(self.admin, "/config_dump").json

    @property
    def log(self) -> str:
        """What it has written to stderr."""
        return _text(self._log)

    @property
    def output(self) -> str:
        """What it has written to stdout."""
        return _text(self._output)

    def wait_for_log(self, text: str) -> None:
        wait_until(lambda: text in self.log, f"{text!r} in the log")

    def access_lines(self) -> list[str]:
        """Complete lines of the access log."""
        text = _text(self.access_log)
        return text[: text.rfind("\n") + 1].splitlines()

    def access(self, text: str) -> str:
        """The one line of the access log that holds a text; waits for it to be written."""

        def found() -> list[str]:
            return [line for line in self.access_lines() if text in line]

        lines = wait_until(found, f"{text!r} in the access log")
        assert len(lines) == 1, lines
        return str(lines[0])

    # Configuration.

    def write(self, text: str) -> None:
        """Put another file in place of the configuration, in one step."""
        fresh = self.folder / ".next"
        fresh.write_text(text, encoding="utf-8")
        fresh.rename(self.config)

    def reloads(self, result: str) -> float:
        return self.metrics().value("meshproxy_config_reloads_total", result=result)

    def reload(self, text: str, result: str = "accepted") -> None:
        """Write another configuration and wait until it was taken, or ``rejected``."""
        before = self.reloads(result)
        self.write(text)
        wait_until(lambda: self.reloads(result) > before, f"a configuration to be {result}")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def pss(pid: int) -> int:
    """Proportional memory of a process, in KiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ValueError(f"no Pss of {pid}")


class Watch:
    """Samples a number in a thread while a block runs; ``highest`` is the largest seen."""

    def __init__(self, sample: Callable[[], float], interval: float = 0.02) -> None:
        self._sample = sample
        self._interval = interval
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.first = self.highest = sample()

    def _run(self) -> None:
        while not self._done.wait(self._interval):
            with contextlib.suppress(OSError):
                self.highest = max(self.highest, self._sample())

    @property
    def growth(self) -> float:
        return self.highest - self.first

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def run(
    *arguments: str, text: str = "", folder: Path | None = None, user: int | None = None
) -> subprocess.CompletedProcess[str]:
    """The command line, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "meshproxy", *arguments],
        input=text,
        cwd=folder or REPOSITORY,
        user=user,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
    )


def parse_json_lines(lines: Iterable[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]
