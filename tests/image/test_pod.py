"""The image in a pod: its init step with two capabilities, its sidecar with none, real requests."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.image.container import Image
from tests.support.namespaces import APP, PATIENCE, REPOSITORY, Mesh, Pod, Process, python
from tests.support.sidecar import Metrics, config, plain, service, workload

pytestmark = pytest.mark.image

SERVER_PORT, PLAIN_PORT = 8080, 9080
# An address that no machine has: whoever reaches it was captured.
VIRTUAL = "10.96.0.20"

# Answers with what it sees: who called, and the sidecar's own header.
APP_PROGRAM = """
import http.server, json, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"path": self.path, "caller": self.client_address[0]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Answer).serve_forever()
"""
CALL = """
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
request = urllib.request.Request(sys.argv[1], headers=dict([sys.argv[2:]] if sys.argv[2:] else []))
print(opener.open(request, timeout=10).read().decode())
"""


def start_app(pod: Pod) -> None:
    app = pod.start([python(), "-c", APP_PROGRAM, str(SERVER_PORT)], uid=APP)
    app.wait_for_port(SERVER_PORT)


def call(pod: Pod, url: str, *header: str) -> str:
    """The body of an answer that an app of the pod got."""
    done = pod.run([python(), "-c", CALL, url, *header], uid=APP)
    assert done.returncode == 0, done.stderr
    return done.stdout


def config_map(folder: Path, text: str) -> Path:
    """A folder as a kubelet lays out a ConfigMap: links through a folder that it can swap."""
    data = folder / "..2024_01_01"
    data.mkdir(parents=True)
    (data / "mesh.yaml").write_text(text, encoding="utf-8")
    (folder / "..data").symlink_to(data.name)
    (folder / "mesh.yaml").symlink_to("..data/mesh.yaml")
    for path in (folder, data):
        path.chmod(0o755)
    return folder


@contextmanager
def sidecar(image: Image, pod: Pod, **options: Any) -> Iterator[Process]:
    """The image's sidecar, ready; its first process is asked to end, as a kubelet asks."""
    process = pod.start(image.container(**options))
    process.wait_for_port(15021)
    waited = pod.run(image.container(["wait", "--timeoutSeconds", "20"]))
    assert waited.returncode == 0, f"{waited.stderr}{process.output()}"
    yield process
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGTERM)
    assert process.wait(PATIENCE) == 0, process.output()
    assert "Traceback" not in process.output()


def as_written(container: dict[str, Any]) -> dict[str, Any]:
    """A container of a pod's YAML as the arguments of `Image.container`."""
    context = container["securityContext"]
    assert context["readOnlyRootFilesystem"]
    assert not context["allowPrivilegeEscalation"]
    assert context["capabilities"]["drop"] == ["ALL"]
    return {
        "arguments": container["args"],
        "user": f"{context['runAsUser']}:{context['runAsGroup']}",
        "capabilities": context["capabilities"].get("add", []),
    }


def readme_pod() -> tuple[dict[str, Any], dict[str, Any]]:
    """The init container and the sidecar that the README shows."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n# pod\.yaml\n(.*?)```", readme, re.DOTALL)
    spec = yaml.safe_load(text)["spec"]
    return as_written(spec["initContainers"][0]), as_written(spec["containers"][0])


def a_pod(name: str, address: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {"containers": [{"name": "app", "ports": [{"containerPort": SERVER_PORT}]}]},
        "status": {
            "podIP": address,
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def scrape(pod: Pod) -> Metrics:
    return Metrics(call(pod, "http://127.0.0.1:15090/stats/prometheus"))


def test_plain_ports(image: Image, pod: Pod, tmp_path: Path) -> None:
    """Without redirect rules."""
    me = workload("me", "me", {}, address=pod.v4)
    app = workload("app", "app", {"http": SERVER_PORT})
    text = config(service("app", PLAIN_PORT), app, me, plain(egress=[(PLAIN_PORT, "HTTP")]))
    mounts = {"/etc/meshproxy": config_map(tmp_path / "mesh", text)}
    start_app(pod)
    arguments = ["proxy", "--workload", "default/me", "--access-log", "/dev/stdout"]
    with sidecar(image, pod, arguments=arguments, mounts=mounts) as process:
        answer = call(pod, f"http://127.0.0.1:{PLAIN_PORT}/hello", "Host", "app")
        assert json.loads(answer)["path"] == "/hello"
        process.wait_for_output("GET /hello")
        assert "config_dump" in pod.run(image.container(["request", "GET", "/"])).stdout


def test_the_readmes_pod(image: Image, tmp_path: Path) -> None:
    """Redirected traffic from an app to an app, through both sidecars."""
    init, proxy = readme_pod()
    with Mesh("client", "server") as mesh, ExitStack() as sidecars:
        port = {"name": "http", "port": 80, "targetPort": SERVER_PORT}
        documents = (
            service("server", 80, clusterIP=VIRTUAL, ports=[port]),
            *(a_pod(name, each.v4) for name, each in mesh.pods.items()),
        )
        mounts = {"/etc/meshproxy": config_map(tmp_path / "mesh", config(*documents))}
        start_app(mesh["server"])
        for name, each in mesh.pods.items():
            done = each.run(image.container(**init))
            assert done.returncode == 0, done.stderr
            env = {"POD_NAMESPACE": "default", "POD_NAME": name}
            sidecars.enter_context(sidecar(image, each, **proxy, env=env, mounts=mounts))

        answer = json.loads(call(mesh["client"], f"http://{VIRTUAL}/hello"))
        assert answer == {"path": "/hello", "caller": "127.0.0.6"}
        counted = {
            name: scrape(each).value("istio_requests_total", reporter=reporter, response_code="200")
            for (name, each), reporter in zip(
                mesh.pods.items(), ("source", "destination"), strict=True
            )
        }
        assert counted == {"client": 1.0, "server": 1.0}


@pytest.mark.parametrize(
    ("backend", "writable"), [("nft", ()), ("nftables", ()), ("legacy", ("/run",))]
)
def test_every_backend_comes_and_goes(
    image: Image, pod: Pod, backend: str, writable: tuple[str, ...]
) -> None:
    """Only iptables-legacy has a file to write, its lock."""
    init, _ = readme_pod()
    init["arguments"] += ["--backend", backend]
    if writable:
        done = pod.run(image.container(**init))
        assert done.returncode == 1
        assert "mount a writable /run" in done.stderr
    for _ in ("set", "nothing to change"):
        done = pod.run(image.container(**init, writable=writable))
        assert done.returncode == 0, done.stderr
    assert "nothing" in done.stdout
    init["arguments"] = ["clean-iptables", "--backend", backend]
    done = pod.run(image.container(**init, writable=writable))
    assert done.returncode == 0, done.stderr
