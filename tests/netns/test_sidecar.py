"""The whole of it: unmodified apps in pods, real rules, and the real sidecar as its own user.

``shop`` and ``stock`` have an app, rules and a sidecar each; ``outside`` has an app alone. Nothing
runs as root but the rules' program; in REDIRECT mode the sidecar has no capability at all.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.namespaces import (
    APP,
    PROXY,
    REPOSITORY,
    Mesh,
    Pod,
    Process,
    needed,
    python,
    wait_until,
)
from tests.support.sidecar import Metrics, mesh_config, service

pytestmark = [pytest.mark.netns, needed("iptables")]

HTTP, TCP = 8080, 9000
CLUSTER_IPS = {
    "shop": ("10.96.0.10", "fd96::10"),
    "stock": ("10.96.0.11", "fd96::11"),
}
FAMILIES = pytest.mark.parametrize("family", [0, 1], ids=["v4", "v6"])
LOOPBACK = ("127.0.0.1", "::1")
# A service's endpoints are its pods' first addresses, whatever family it was called by.
BY_SERVICE = 0
FROM_SIDECAR = ("127.0.0.6", "::6")

REFUSED = ({"error": "ConnectionResetError"}, {"error": "RemoteDisconnected"})

SERVERS = """
import http.server, json, socket, sys, threading
NAME = sys.argv[1]
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        told = {"app": NAME, "peer": self.client_address[0], "headers": dict(self.headers)}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
class Six(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        super().server_bind()
def echo(family, address):
    server = socket.create_server((address, 9000), family=family)
    while True:
        connection, peer = server.accept()
        with connection:
            said = connection.recv(512).decode().strip()
            told = {"app": NAME, "peer": peer[0], "said": said}
            connection.sendall(json.dumps(told).encode())
for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    threading.Thread(target=echo, args=(family, address), daemon=True).start()
six = Six(("::", 8080), Handler)
threading.Thread(target=six.serve_forever, daemon=True).start()
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""

CALL = """
import http.client, json, socket, sys
kind, to, port, host = sys.argv[1:]
try:
    if kind == "http":
        client = http.client.HTTPConnection(to, int(port), timeout=5)
        client.request("GET", "/", headers={"Host": host})
        answer = client.getresponse()
        body = answer.read().decode()
        told = {"status": answer.status, "body": body}
        if answer.status == 200:
            told.update(json.loads(body))
    else:
        with socket.create_connection((to, int(port)), 5) as client:
            client.sendall(b"hello\\n")
            told = json.loads(client.recv(4096) or '{"ended": true}')
except OSError as error:
    told = {"error": type(error).__name__}
print(json.dumps(told))
"""


@dataclass(frozen=True)
class Mode:
    """How traffic is captured, and whom an app of the mesh sees calling."""

    name: str
    rules: tuple[str, ...]
    sidecar: tuple[str, ...]
    keeps_source: bool = False

    @property
    def capabilities(self) -> list[str]:
        return ["net_raw"] if "TPROXY" in self.sidecar else []


TPROXY = ("--interception-mode", "TPROXY")
MODES = [
    Mode("REDIRECT", (), ()),
    Mode("TPROXY", ("-m", "TPROXY"), TPROXY),
    Mode(
        "TPROXY-source",
        ("-m", "TPROXY", "--original-source"),
        (*TPROXY, "--original-source"),
        keeps_source=True,
    ),
]


def pod_document(pod: Pod) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod.name,
            "namespace": "default",
            "labels": {"app": pod.name, "version": "v1"},
        },
        "spec": {"serviceAccountName": pod.name, "containers": [{"name": "app"}]},
        "status": {"phase": "Running", "podIP": pod.v4, "podIPs": [{"ip": pod.v4}, {"ip": pod.v6}]},
    }


def documents(mesh: Mesh, policy: str) -> list[dict[str, Any]]:
    found = [mesh_config(outboundTrafficPolicy={"mode": policy})]
    for name, ips in CLUSTER_IPS.items():
        ports = [
            {"name": "http", "port": 80, "targetPort": HTTP},
            {"name": "tcp-echo", "port": 90, "targetPort": TCP},
        ]
        found.append(service(name, 80, clusterIP=ips[0], clusterIPs=list(ips), ports=ports))
        found.append(pod_document(mesh[name]))
    return found


@dataclass
class Scene:
    mesh: Mesh
    mode: Mode
    folder: Path
    sidecars: dict[str, Process]

    def call(self, pod: str, kind: str, to: str, port: int, host: str = "") -> dict[str, Any]:
        """What an app in the pod is told."""
        host = host or (f"[{to}]" if ":" in to else to)
        argv = [python(), "-c", CALL, kind, to, str(port), host]
        done = self.mesh[pod].run(argv, uid=APP)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def scrape(self, pod: str) -> Metrics:
        done = self.mesh[pod].run(
            [python(), "-m", "meshproxy", "request", "GET", "/stats/prometheus"],
            uid=PROXY,
            env={"PYTHONPATH": str(REPOSITORY)},
        )
        assert done.returncode == 0, done.stderr
        return Metrics(done.stdout)

    def address(self, pod: str, family: int) -> str:
        return (self.mesh[pod].v4, self.mesh[pod].v6)[family]

    def seen_from(self, pod: str, family: int) -> str:
        """Whom an app behind a sidecar sees when this pod calls."""
        return self.address(pod, family) if self.mode.keeps_source else FROM_SIDECAR[family]

    def configure(self, policy: str = "ALLOW_ANY") -> None:
        text = yaml.safe_dump_all(documents(self.mesh, policy))
        fresh = self.folder / ".next"
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(0o644)
        fresh.rename(self.folder / "mesh.yaml")


@pytest.fixture(scope="module", params=MODES, ids=lambda mode: mode.name)
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    mode: Mode = request.param
    folder = Path(tempfile.mkdtemp(prefix="meshproxy-pods-"))
    folder.chmod(0o755)
    environ = {"PYTHONPATH": str(REPOSITORY)}
    try:
        with Mesh("shop", "stock", "outside") as mesh:
            scene = Scene(mesh, mode, folder, {})
            scene.configure()
            for pod in mesh.pods.values():
                apps = pod.start([python(), "-c", SERVERS, pod.name], uid=APP)
                apps.wait_for_port(HTTP).wait_for_port(TCP)
            for name in CLUSTER_IPS:
                pod = mesh[name]
                rules = [python(), "-m", "meshproxy", "iptables", "-b", "*", "-d", "15021,15090"]
                done = pod.run([*rules, "-i", "*", *mode.rules], env=environ)
                assert done.returncode == 0, done.stderr
                scene.sidecars[name] = pod.start(
                    [
                        *(python(), "-m", "meshproxy", "proxy"),
                        *("--config", str(folder), "--workload", f"default/{name}"),
                        *("--concurrency", "2", "--drain-duration", "1s", *mode.sidecar),
                    ],
                    uid=PROXY,
                    env=environ,
                    capabilities=mode.capabilities,
                )
            for name in CLUSTER_IPS:
                command = [python(), "-m", "meshproxy", "wait", "--periodMillis", "50"]
                done = mesh[name].run(command, uid=APP, env=environ)
                assert done.returncode == 0, done.stderr
            yield scene
            for process in scene.sidecars.values():
                assert "Traceback" not in process.output(), process.output()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_capabilities(scene: Scene) -> None:
    """None, or what TPROXY cannot do without: NET_RAW (bit 13)."""
    for process in scene.sidecars.values():
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Uid"].split()[0] == str(PROXY)
        assert int(fields["CapEff"], 16) == (1 << 13 if scene.mode.capabilities else 0)


@FAMILIES
class TestAppToApp:
    def test_http_by_service_address(self, scene: Scene, family: int) -> None:
        sent = {"reporter": "source", "response_code": "200"}
        received = {"reporter": "destination", "response_code": "200"}
        before = (
            scene.scrape("shop").value("istio_requests_total", **sent),
            scene.scrape("stock").value("istio_requests_total", **received),
        )
        told = scene.call("shop", "http", CLUSTER_IPS["stock"][family], 80, "stock")
        assert (told["app"], told["peer"]) == ("stock", scene.seen_from("shop", BY_SERVICE))
        assert (
            scene.scrape("shop").value("istio_requests_total", **sent),
            scene.scrape("stock").value("istio_requests_total", **received),
        ) == (before[0] + 1, before[1] + 1)

    def test_tcp_by_service_address(self, scene: Scene, family: int) -> None:
        told = scene.call("shop", "tcp", CLUSTER_IPS["stock"][family], 90)
        peer = scene.seen_from("shop", BY_SERVICE)
        assert told == {"app": "stock", "peer": peer, "said": "hello"}

    def test_by_pod_address(self, scene: Scene, family: int) -> None:
        told = scene.call("shop", "http", scene.address("stock", family), HTTP)
        assert (told["app"], told["peer"]) == ("stock", scene.seen_from("shop", family))

    def test_again_and_again(self, scene: Scene, family: int) -> None:
        """Kept connections belong to the caller that they stand for."""
        to = CLUSTER_IPS["stock"][family]
        for pod in ("shop", "stock", "shop", "stock"):
            told = scene.call(pod, "http", to, 80, "stock")
            assert told["app"] == "stock"
            if pod == "shop":
                assert told["peer"] == scene.seen_from("shop", BY_SERVICE)

    def test_a_caller_without_a_sidecar(self, scene: Scene, family: int) -> None:
        told = scene.call("outside", "http", scene.address("stock", family), HTTP)
        assert (told["app"], told["peer"]) == ("stock", scene.seen_from("outside", family))

    def test_an_app_outside_the_mesh(self, scene: Scene, family: int) -> None:
        told = scene.call("shop", "http", scene.address("outside", family), HTTP)
        assert (told["app"], told["peer"]) == ("outside", scene.address("shop", family))


@FAMILIES
class TestToItself:
    @pytest.mark.parametrize("kind", ["http", "tcp"])
    def test_by_its_own_service_address(self, scene: Scene, kind: str, family: int) -> None:
        port = {"http": 80, "tcp": 90}[kind]
        told = scene.call("shop", kind, CLUSTER_IPS["shop"][family], port, "shop")
        assert told["app"] == "shop"

    def test_by_its_own_address(self, scene: Scene, family: int) -> None:
        told = scene.call("shop", "http", scene.address("shop", family), HTTP)
        assert told["app"] == "shop"

    def test_its_loopback_is_untouched(self, scene: Scene, family: int) -> None:
        before = scene.scrape("shop").value("istio_requests_total")
        told = scene.call("shop", "http", LOOPBACK[family], HTTP)
        assert (told["app"], told["peer"]) == ("shop", LOOPBACK[family])
        assert scene.scrape("shop").value("istio_requests_total") == before


@FAMILIES
@pytest.mark.parametrize("port", [15001, 15006])
def test_a_connection_straight_to_a_capture_port_is_closed(
    scene: Scene, port: int, family: int
) -> None:
    name = "meshproxy_direct_connections_total"
    before = scene.scrape("stock").value(name)
    told = scene.call("outside", "tcp", scene.address("stock", family), port)
    assert told in ({"ended": True}, *REFUSED)
    assert scene.scrape("stock").value(name) == before + 1


def test_not_ready_while_traffic_is_not_captured() -> None:
    """Started before its rules, after them, and when they are flushed under it."""
    environ = {"PYTHONPATH": str(REPOSITORY)}
    with Mesh("pod") as mesh, tempfile.TemporaryDirectory() as folder:
        pod = mesh["pod"]
        config = Path(folder) / "mesh.yaml"
        Path(folder).chmod(0o755)
        config.write_text(yaml.safe_dump(pod_document(pod)), encoding="utf-8")
        program = [python(), "-m", "meshproxy"]
        sidecar = pod.start(
            [*program, "proxy", "--config", str(config), "--require-redirect"],
            uid=PROXY,
            env=environ,
        )
        sidecar.wait_for_port(15021)

        def wait(seconds: int) -> str:
            """What is said to an app that waits for its sidecar; "" when it is ready."""
            command = [*program, "wait", "--timeoutSeconds", str(seconds), "--periodMillis", "50"]
            done = pod.run(command, uid=APP, env=environ)
            assert bool(done.returncode) == bool(done.stderr), done.stderr
            return done.stderr

        assert "traffic is not captured (IPv4)" in wait(1)
        done = pod.run([*program, "iptables", "-b", "*", "-i", "*"], env=environ)
        assert done.returncode == 0, done.stderr
        assert wait(5) == ""
        sidecar.wait_for_output("traffic is captured")
        assert pod.run([*program, "clean-iptables"], env=environ).returncode == 0
        wait_until(lambda: "traffic is not captured" in wait(0), "it to be noticed", patience=20)


@FAMILIES
def test_only_what_is_registered(scene: Scene, family: int) -> None:
    """REGISTRY_ONLY: what is not in the mesh is refused, 502 or a reset; and allowed again."""
    to = scene.address("outside", family)

    def status() -> object:
        """On a port that services have as well: HTTP is known, and can be answered."""
        return scene.call("shop", "http", to, 80).get("status")

    scene.configure("REGISTRY_ONLY")
    try:
        wait_until(lambda: status() == 502, "HTTP to be refused")
        for kind, port in (("tcp", TCP), ("http", HTTP)):
            told = scene.call("shop", kind, to, port)
            assert told in ({"ended": True}, *REFUSED)
        told = scene.call("shop", "http", CLUSTER_IPS["stock"][family], 80, "stock")
        assert told["app"] == "stock"
    finally:
        scene.configure("ALLOW_ANY")
        wait_until(lambda: status() == 503, "HTTP to be let through to where nobody listens")
