"""TPROXY: the sidecar gets inbound connections unchanged, and the app sees the client's address.

The stand-in for the sidecar runs as the proxy's user with one capability, takes a connection on the
inbound port, learns where it was meant to go from its own end of it, and dials the app from the
client's address.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.namespaces import APP, PROXY, REPOSITORY, Mesh, Pod, needed, python

pytestmark = [pytest.mark.netns, needed("iptables")]

PORT, SPARED = 8080, 9000
BACKENDS = [
    pytest.param("nft", marks=needed("iptables-nft")),
    pytest.param("legacy", marks=needed("iptables-legacy")),
    pytest.param("nftables", marks=needed("nft")),
]

# Numbers from linux/in.h, linux/in6.h and asm/socket.h: IP_TRANSPARENT, IPV6_TRANSPARENT, SO_MARK.
SIDECAR = """
import socket, threading
MARK = 1337
def transparent(family):
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setsockopt(socket.IPPROTO_IPV6, 75, 1)
    else:
        made.setsockopt(socket.SOL_IP, 19, 1)
    return made
def handle(family, connection, peer):
    meant = connection.getsockname()
    with connection, transparent(family) as app:
        app.setsockopt(socket.SOL_SOCKET, 36, MARK)
        app.settimeout(3)
        app.bind((peer[0], 0))
        try:
            app.connect(meant[:2])
            said = app.recv(512)
        except OSError as err:
            said = repr(err).encode()
        connection.sendall(b"sidecar " + repr(meant[:2]).encode() + b" " + said)
def serve(family, address):
    server = transparent(family)
    server.bind((address, 15006))
    server.listen()
    while True:
        threading.Thread(target=handle, args=(family, *server.accept()), daemon=True).start()
for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    threading.Thread(target=serve, args=(family, address), daemon=True).start()
threading.Event().wait()
"""

APP_SERVER = """
import socket, sys, threading
def serve(family, address, port):
    server = socket.create_server((address, port), family=family)
    while True:
        connection, peer = server.accept()
        connection.sendall(b"app saw " + peer[0].encode())
        connection.close()
for port in map(int, sys.argv[1:]):
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        threading.Thread(target=serve, args=(family, address, port), daemon=True).start()
threading.Event().wait()
"""

CLIENT = """
import json, os, socket, sys
to, port, user = json.loads(sys.argv[1])
os.setgid(user), os.setuid(user)
try:
    with socket.create_connection((to, port), 4) as client:
        print(client.recv(512).decode())
except OSError as err:
    print(repr(err))
"""


def ask(pod: Pod, to: str, port: int, user: int = APP) -> str:
    done = pod.run([sys.executable, "-c", CLIENT, json.dumps([to, port, user])])
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module", params=BACKENDS)
def mesh(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    with Mesh("pod", "client") as mesh:
        pod = mesh["pod"]
        arguments = [
            "-b", "*", "-d", str(SPARED), "-i", "*", "-m", "TPROXY", "--original-source",
            "--backend", request.param,
        ]  # fmt: skip
        environ = {"PYTHONPATH": str(REPOSITORY)}
        done = pod.run([sys.executable, "-m", "iptables", *arguments], env=environ)
        assert done.returncode == 0, done.stderr
        sidecar = pod.start([python(), "-c", SIDECAR], uid=PROXY, capabilities=["net_raw"])
        sidecar.wait_for_port(15006)
        ports = [str(PORT), str(SPARED)]
        pod.start([python(), "-c", APP_SERVER, *ports], uid=APP).wait_for_port(SPARED)
        yield mesh


def addresses(pod: Pod, family: int) -> str:
    return [pod.v4, pod.v6][family]


@pytest.mark.parametrize("family", [0, 1], ids=["v4", "v6"])
class TestInbound:
    def test_the_app_sees_the_client(self, mesh: Mesh, family: int) -> None:
        to, client = addresses(mesh["pod"], family), addresses(mesh["client"], family)
        answer = ask(mesh["client"], to, PORT)
        assert answer == f"sidecar {(to, PORT)!r} app saw {client}"

    def test_again_on_a_known_path(self, mesh: Mesh, family: int) -> None:
        """Marks are saved on connections: a second one must not inherit from the first."""
        to, client = addresses(mesh["pod"], family), addresses(mesh["client"], family)
        for _ in range(3):
            assert ask(mesh["client"], to, PORT).endswith(f"app saw {client}")

    def test_excluded_port(self, mesh: Mesh, family: int) -> None:
        client = addresses(mesh["client"], family)
        answer = ask(mesh["client"], addresses(mesh["pod"], family), SPARED)
        assert answer == f"app saw {client}"

    def test_app_to_itself(self, mesh: Mesh, family: int) -> None:
        own = addresses(mesh["pod"], family)
        assert ask(mesh["pod"], own, PORT) == f"app saw {own}"


def test_policy_routes(mesh: Mesh) -> None:
    """One rule and one route a family, and gone after a clean-up."""
    pod = mesh["pod"]
    assert all(_routes(pod, family) == (1, 1) for family in ("-4", "-6"))


def _routes(pod: Pod, family: str) -> tuple[int, int]:
    rules = pod.run(["ip", family, "rule"]).stdout
    routes = pod.run(["ip", family, "route", "show", "table", "133"]).stdout
    return rules.count("fwmark 0x539"), routes.count("local default dev lo")


@pytest.mark.parametrize("with_package", [True, False], ids=["pyroute2", "ip"])
def test_policy_routes_twice_and_away(with_package: bool, tmp_path: Path) -> None:
    """The same by either way of talking to the kernel."""
    path = [str(REPOSITORY), *sys.path]
    if with_package:
        pytest.importorskip("pyroute2")
    else:
        (tmp_path / "pyroute2.py").write_text("raise ImportError('not in this image')\n")
        path.insert(0, str(tmp_path))
    environ = {"PYTHONPATH": os.pathsep.join(path)}
    with Mesh("pod") as mesh:
        pod = mesh["pod"]
        command = [sys.executable, "-m", "iptables", "-b", "*", "-i", "*"]
        for _ in range(2):
            done = pod.run([*command, "-m", "TPROXY"], env=environ)
            assert done.returncode == 0, done.stderr
            assert (_routes(pod, "-4"), _routes(pod, "-6")) == ((1, 1), (1, 1))
        assert "nothing changed" in done.stdout
        assert pod.run(command, env=environ).returncode == 0  # REDIRECT needs none
        assert (_routes(pod, "-4"), _routes(pod, "-6")) == ((0, 0), (0, 0))
        assert pod.run([*command, "-m", "TPROXY"], env=environ).returncode == 0
        assert pod.run([*command, "--cleanup-only"], env=environ).returncode == 0
        assert (_routes(pod, "-4"), _routes(pod, "-6")) == ((0, 0), (0, 0))
