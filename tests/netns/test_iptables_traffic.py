"""Real connections through the rules, on every backend: who answers, and what it was told.

The sidecar is a stand-in that accepts on the capture ports and says where a connection was meant to
go. The app, and another pod, answer with their own name. So each test asks a question and reads
from the answer who got it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.namespaces import APP, PROXY, REPOSITORY, Mesh, Pod, needed, python

pytestmark = [pytest.mark.netns, needed("iptables")]

BACKENDS = [
    pytest.param(backend, marks=needed(program))
    for backend, program in (
        ("nft", "iptables-nft"),
        ("legacy", "iptables-legacy"),
        ("nftables", "nft"),
    )
]
OUTBOUND, INBOUND, DNS = 15001, 15006, 15053
SERVICE, EXCLUDED = 8080, 9000
GROUP = 3000
RESOLVER_V4, RESOLVER_V6 = "10.77.0.99", "fd77::99"

COMMON = """
import json, socket, sys, threading
def listen(address, port, answer):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.create_server((address, port), family=family)
    def serve():
        while True:
            connection, peer = server.accept()
            with connection:
                reply = {**answer(connection, port), "peer": peer[0]}
                connection.sendall(json.dumps(reply).encode())
    threading.Thread(target=serve, daemon=True).start()
def udp(address, port, answer):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind((address, port))
    def serve():
        while True:
            data, peer = server.recvfrom(512)
            reply = {**answer(data, peer), "port": port, "peer": peer[0]}
            server.sendto(json.dumps(reply).encode(), peer)
    threading.Thread(target=serve, daemon=True).start()
"""

# Stands in for the sidecar: it is told nothing and only reports what the kernel knows. As the DNS
# agent it asks a resolver before it answers, from the source port that the app had.
SIDECAR = (
    COMMON
    + """
from iptables.probe import original_destination
def seen(connection, port):
    return {"by": "sidecar", "port": port, "meant_for": original_destination(connection)}
for address in ("0.0.0.0", "::"):
    for port in (15001, 15006):
        listen(address, port, seen)
def ask(data, peer):
    if not data.startswith(b"forward "):
        return {"by": "sidecar"}
    family = socket.AF_INET6 if ":" in peer[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as query:
        query.settimeout(3)
        query.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        query.bind((json.loads(data[8:])["from"], peer[1]))
        # Connected, so that the resolver's answer is for this socket and not for the app's.
        query.connect((json.loads(data[8:])["resolver"], 53))
        query.send(b"plain")
        return {"by": "sidecar", "heard": json.loads(query.recv(512))["by"]}
for address in ("127.0.0.1", "::1"):
    listen(address, 15053, seen)
    udp(address, 15053, ask)
threading.Event().wait()
"""
)

SERVER = (
    COMMON
    + """
name, ports = sys.argv[1], [int(each) for each in sys.argv[2:]]
for address in ("0.0.0.0", "::"):
    for port in ports:
        listen(address, port, lambda connection, port: {"by": name, "port": port})
    if 53 in ports:
        udp(address, 53, lambda data, peer: {"by": name})
threading.Event().wait()
"""
)

CLIENT = """
import json, os, socket, sys
ask = json.loads(sys.argv[1])
if ask["group"]:
    os.setgid(ask["group"])
if ask["user"]:
    os.setuid(ask["user"])
family = socket.AF_INET6 if ":" in ask["to"] else socket.AF_INET
kind = socket.SOCK_DGRAM if ask["udp"] else socket.SOCK_STREAM
try:
    with socket.socket(family, kind) as client:
        client.settimeout(3)
        if ask["udp"]:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.sendto(ask["udp"].encode(), (ask["to"], ask["port"]))
            answer, sender = client.recvfrom(512)
            if sender[:2] != (ask["to"], ask["port"]):
                raise OSError(f"the answer came from {sender}")
            print(answer.decode())
        else:
            if ask["from"]:
                client.bind((ask["from"], 0))
            client.connect((ask["to"], ask["port"]))
            print(client.recv(512).decode())
except OSError as err:
    print(json.dumps({"error": str(err)}))
"""


@dataclass(frozen=True)
class Scene:
    """A pod with rules, a sidecar and an app, and two pods around it without any."""

    mesh: Mesh
    pod: Pod
    other: Pod
    spared: Pod


def ask(
    pod: Pod,
    to: str,
    port: int,
    *,
    user: int = APP,
    group: int | None = None,
    source: str = "",
    udp: str = "",
) -> dict[str, Any]:
    """Connect from a pod as a user; the answer of whoever got the connection."""
    question = {
        "to": to, "port": port, "user": user, "group": user if group is None else group,
        "from": source, "udp": udp,
    }  # fmt: skip
    done = pod.run([sys.executable, "-c", CLIENT, json.dumps(question)])
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def by_sidecar(port: int, address: str, meant_port: int) -> dict[str, Any]:
    """The part of an answer that tells a captured connection."""
    return {"by": "sidecar", "port": port, "meant_for": [address, meant_port]}


def without_peer(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "peer"}


@pytest.fixture(scope="module", params=BACKENDS)
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    with Mesh("pod", "other", "spared") as mesh:
        pod = mesh["pod"]
        environ = {"ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE": str(GROUP), "PYTHONPATH": str(REPOSITORY)}
        arguments = [
            "-b", "*", "-d", str(EXCLUDED), "-i", "*", "-o", str(EXCLUDED),
            "-x", f"{mesh['spared'].v4}/32,{mesh['spared'].v6}/128",
            "--redirect-dns", "--capture-all-dns", "--backend", request.param,
        ]  # fmt: skip
        done = pod.run([sys.executable, "-m", "iptables", *arguments], env=environ)
        assert done.returncode == 0, done.stderr
        start(pod, SIDECAR, PROXY, "15001", "15006", "15053")
        start(pod, SERVER, APP, "app", str(SERVICE), str(EXCLUDED))
        # Port 53 is for root, who is any other user to the rules of a pod without any.
        for each in (mesh["other"], mesh["spared"]):
            start(each, SERVER, 0, each.name, str(SERVICE), str(EXCLUDED), "53")
        yield Scene(mesh, pod, mesh["other"], mesh["spared"])


def start(pod: Pod, program: str, uid: int, *arguments: str) -> None:
    """Start a script and wait until it listens on all the ports that its arguments name."""
    argv = [python(), "-c", program, *arguments]
    process = pod.start(argv, uid=uid, env={"PYTHONPATH": str(REPOSITORY)})
    for port in arguments:
        if port.isdigit():
            process.wait_for_port(int(port))


def families(pod: Pod) -> list[str]:
    return [pod.v4, pod.v6]


@pytest.mark.parametrize("family", [0, 1], ids=["v4", "v6"])
class TestCapture:
    """Each question in both families."""

    def test_outbound(self, scene: Scene, family: int) -> None:
        address = families(scene.other)[family]
        answer = ask(scene.pod, address, SERVICE)
        assert without_peer(answer) == by_sidecar(OUTBOUND, address, SERVICE)

    def test_excluded_port(self, scene: Scene, family: int) -> None:
        assert ask(scene.pod, families(scene.other)[family], EXCLUDED)["by"] == "other"

    def test_excluded_range(self, scene: Scene, family: int) -> None:
        assert ask(scene.pod, families(scene.spared)[family], SERVICE)["by"] == "spared"

    def test_excluded_group(self, scene: Scene, family: int) -> None:
        address = families(scene.other)[family]
        assert ask(scene.pod, address, SERVICE, group=GROUP)["by"] == "other"

    @pytest.mark.parametrize(("user", "group"), [(PROXY, PROXY), (PROXY, APP), (APP, PROXY)])
    def test_the_proxy_itself(self, scene: Scene, family: int, user: int, group: int) -> None:
        address = families(scene.other)[family]
        assert ask(scene.pod, address, SERVICE, user=user, group=group)["by"] == "other"

    def test_root_is_an_app(self, scene: Scene, family: int) -> None:
        address = families(scene.other)[family]
        assert ask(scene.pod, address, SERVICE, user=0)["by"] == "sidecar"

    def test_inbound(self, scene: Scene, family: int) -> None:
        address, peer = families(scene.pod)[family], families(scene.other)[family]
        answer = ask(scene.other, address, SERVICE)
        wanted = by_sidecar(INBOUND, address, SERVICE)
        assert answer | {"peer": answer["peer"].removeprefix("::ffff:")} == wanted | {"peer": peer}

    def test_excluded_inbound_port(self, scene: Scene, family: int) -> None:
        assert ask(scene.other, families(scene.pod)[family], EXCLUDED)["by"] == "app"

    def test_app_to_its_own_address(self, scene: Scene, family: int) -> None:
        assert ask(scene.pod, families(scene.pod)[family], SERVICE)["by"] == "app"

    def test_app_to_loopback(self, scene: Scene, family: int) -> None:
        assert ask(scene.pod, ["127.0.0.1", "::1"][family], SERVICE)["by"] == "app"

    def test_app_calling_itself_through_the_proxy(self, scene: Scene, family: int) -> None:
        """The second half of it: the sidecar has chosen this pod as the service's endpoint."""
        address = families(scene.pod)[family]
        answer = ask(scene.pod, address, SERVICE, user=PROXY)
        assert without_peer(answer) == by_sidecar(INBOUND, address, SERVICE)

    def test_sidecar_to_the_app(self, scene: Scene, family: int) -> None:
        """What the sidecar sends on from its marker address is not captured again."""
        source = ["127.0.0.6", "::6"][family]
        answer = ask(scene.pod, families(scene.pod)[family], SERVICE, user=PROXY, source=source)
        assert answer["by"] == "app"
        assert answer["peer"].removeprefix("::ffff:") == source

    def test_dns_over_tcp(self, scene: Scene, family: int) -> None:
        resolver = [RESOLVER_V4, RESOLVER_V6][family]
        answer = ask(scene.pod, resolver, 53)
        assert without_peer(answer) == by_sidecar(DNS, resolver, 53)

    def test_dns_over_udp(self, scene: Scene, family: int) -> None:
        """The client takes an answer only if it seems to come from the resolver."""
        answer = ask(scene.pod, [RESOLVER_V4, RESOLVER_V6][family], 53, udp="query")
        assert without_peer(answer) == {"by": "sidecar", "port": DNS}

    def test_dns_with_the_same_source_port_twice(self, scene: Scene, family: int) -> None:
        """App to agent and agent to resolver, all but the agent's address equal: two zones."""
        resolver = families(scene.other)[family]
        query = json.dumps({"from": families(scene.pod)[family], "resolver": resolver})
        answer = ask(scene.pod, resolver, 53, udp=f"forward {query}")
        assert answer.get("heard") == "other", answer


def test_nothing_is_captured_without_rules() -> None:
    """The scene's other half: the same questions without rules get the plain answer."""
    with Mesh("pod", "other") as mesh:
        start(mesh["other"], SERVER, APP, "other", str(SERVICE))
        assert ask(mesh["pod"], mesh["other"].v4, SERVICE)["by"] == "other"
        assert ask(mesh["pod"], mesh["other"].v6, SERVICE)["by"] == "other"
