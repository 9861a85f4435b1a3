"""Mutual TLS, plain text and the app's own TLS on one port, through the data path in memory."""

from __future__ import annotations

import ssl

import pytest

from meshproxy.model.listener import Application
from meshproxy.model.secret import WORKLOAD, Secret
from meshproxy.model.settings import Settings
from meshproxy.model.snapshot import Snapshot
from meshproxy.serve.readmit import readmit
from tests.support.fakes import FakeTransport
from tests.support.models import inbound
from tests.support.path import DataPath
from tests.support.pki import Authority
from tests.unit.tls.conftest import BACK, FRONT, secret_of, store_of
from tests.unit.tls.conftest import MESH as TO_BACK

GET = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
STRICT = "PeerAuthentication default/strict"
MESH_HTTP = ("istio-http/1.1", "istio", "http/1.1")
MESH_TCP = ("istio",)
OWN = ("http/1.1",)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("cluster.local")


@pytest.fixture(scope="module")
def front(authority: Authority) -> Secret:
    return secret_of(authority.issue("default/front"), FRONT)


@pytest.fixture(scope="module")
def back(authority: Authority) -> Secret:
    return secret_of(authority.issue("default/back"), BACK)


def place(
    back: Secret | None, application: Application = Application.HTTP, **facts: object
) -> DataPath:
    path = DataPath(inbound(application, **{"mtls": True, **facts}))  # type: ignore[arg-type]
    if back is not None:
        path.serving.store.update({WORKLOAD: back})
    return path


def arrive(path: DataPath) -> FakeTransport:
    return path.connect("10.0.0.1:8080", "in")


class Caller:
    """A TLS client on a connection to us."""

    def __init__(
        self, path: DataPath, secret: Secret, alpn: tuple[str, ...] = MESH_HTTP, cut: int = 1 << 20
    ) -> None:
        side = store_of(secret).client(TO_BACK, alpn)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = side.wrap(self.incoming, self.outgoing, "", "outbound_.80_._.shop")
        self.transport = arrive(path)
        self.cut = cut
        self.alert = ""
        self.pump()

    def pump(self) -> None:
        """Shake hands as far as it goes."""
        for _ in range(4):
            self.hear()
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.speak()
            except ssl.SSLError as error:
                self.alert = str(error)
                return
            else:
                break
        self.speak()

    def hear(self) -> None:
        data = self.transport.take()
        if data:
            self.incoming.write(data)

    def speak(self) -> None:
        data = self.outgoing.read()
        for at in range(0, len(data), self.cut):
            if not self.transport.closed:
                self.transport.receive(data[at : at + self.cut])

    def say(self, data: bytes) -> None:
        self.tls.write(data)
        self.speak()

    def heard(self) -> bytes:
        self.hear()
        try:
            return self.tls.read(1 << 16)
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLError as error:
            self.alert = str(error)
            return b""


def refused(path: DataPath, word: str) -> bool:
    return path.plain("meshproxy_connections_refused_total", "in", word) == 1


BOTH = pytest.mark.parametrize("strict", ["", STRICT], ids=["permissive", "strict"])
CUTS = pytest.mark.parametrize("cut", [1, 100, 1 << 20])


@BOTH
@CUTS
def test_mutual_tls_reaches_the_app(front: Secret, back: Secret, strict: str, cut: int) -> None:
    path = place(back, refuse_plaintext=strict)
    caller = Caller(path, front, cut=cut)
    caller.say(GET)
    app = path.dialled()
    asked = app.take()
    assert asked.startswith(b"GET / HTTP/1.1\r\n")
    assert f"URI={FRONT}\r\n".encode() in asked
    assert b"x-forwarded-client-cert: By=" + BACK.encode() in asked
    app.receive(OK)
    assert caller.heard().endswith(b"\r\n\r\nok")
    assert path.serving.handshakes == 0


def test_the_chain_of_earlier_callers_is_kept(front: Secret, back: Secret) -> None:
    path = place(back)
    caller = Caller(path, front)
    caller.say(GET[:-2] + b"X-Forwarded-Client-Cert: By=a;URI=b\r\n\r\n")
    assert b"x-forwarded-client-cert: By=a;URI=b,By=" in path.dialled().take()


def test_strangers_do_not_say_who_they_are(back: Secret) -> None:
    path = place(back)
    arrive(path).receive(GET[:-2] + b"X-Forwarded-Client-Cert: By=a;URI=b\r\n\r\n")
    assert b"client-cert" not in path.dialled().take().lower()


@CUTS
def test_plain_text_is_taken_beside_it(back: Secret, cut: int) -> None:
    path = place(back)
    client = arrive(path)
    for at in range(0, len(GET), cut):
        client.receive(GET[at : at + cut])
    assert path.dialled().take().startswith(b"GET / ")


@pytest.mark.parametrize("data", [GET, b"\x16\x01", b"\x00"])
def test_plain_text_where_nothing_else_may_enter(back: Secret, data: bytes) -> None:
    path = place(back, refuse_plaintext=STRICT)
    client = arrive(path)
    assert not client.aborted, "it has not said anything yet"
    client.receive(data)
    assert client.aborted
    assert refused(path, "plaintext")


@pytest.mark.parametrize("application", list(Application))
@CUTS
def test_the_apps_own_tls_goes_through(
    application: Application, front: Secret, back: Secret, cut: int
) -> None:
    path = place(back, application)
    side = store_of(front).client(TO_BACK, OWN)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        side.wrap(incoming, outgoing, "", "own.example").do_handshake()
    hello = outgoing.read()
    client = arrive(path)
    early = client.receive
    for at in range(0, len(hello), cut):
        if client.reading:
            early(hello[at : at + cut])
    app = path.dialled()
    said = app.take()
    assert hello.startswith(said)
    assert said


def test_any_tls_is_ended_where_nothing_else_may_enter(front: Secret, back: Secret) -> None:
    path = place(back, refuse_plaintext=STRICT)
    caller = Caller(path, front, alpn=())
    caller.say(GET)
    assert path.dialled().take().startswith(b"GET / ")


@pytest.mark.parametrize(
    ("alpn", "said", "opaque"),
    [
        (MESH_TCP, GET, True),  # a TCP caller, whatever its bytes look like
        (MESH_HTTP, GET, False),
        ((), GET, False),  # nothing is promised: the bytes say it
        ((), b"\x00\x01", True),
        (OWN, GET, False),
    ],
)
def test_what_is_inside(
    alpn: tuple[str, ...], said: bytes, opaque: bool, front: Secret, back: Secret
) -> None:
    path = place(back, Application.DETECT, refuse_plaintext=STRICT)
    caller = Caller(path, front, alpn=alpn)
    caller.say(said)
    app = path.dialled()
    assert (b"client-cert" not in app.take()) == opaque


def test_a_server_that_speaks_first(front: Secret, back: Secret) -> None:
    """Inside TLS and without it: the upstream is dialled after a moment's silence."""
    path = place(back, Application.DETECT)
    caller = Caller(path, front, alpn=("istio-unknown",))
    path.loop.advance(0.2)
    path.dialled().receive(b"220 welcome\r\n")
    assert caller.heard() == b"220 welcome\r\n"
    plain = arrive(path)
    path.loop.advance(0.2)
    path.dialled().receive(b"220 welcome\r\n")
    assert plain.take() == b"220 welcome\r\n"


def test_a_late_hello_after_a_silence(front: Secret, back: Secret) -> None:
    path = place(back, Application.DETECT)
    side = store_of(front).client(TO_BACK, MESH_TCP)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = side.wrap(incoming, outgoing, "", "x")
    client = arrive(path)
    path.loop.advance(0.2)
    early = path.dialled()
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    client.receive(outgoing.read())
    assert early.closed, "what was dialled while nobody spoke is not used"
    assert client.take()[:1] == b"\x16"


def test_without_a_certificate_of_our_own(front: Secret) -> None:
    path = place(None)
    caller = Caller(path, front)
    assert caller.transport.aborted
    assert refused(path, "no_certificate_here")


def test_callers_of_another_trust_domain(back: Secret, authority: Authority) -> None:
    path = place(back)
    other = secret_of(authority.issue("", uris=["spiffe://elsewhere/ns/default/sa/front"]))
    caller = Caller(path, other)
    if not caller.transport.closed:
        caller.say(GET)
    assert path.dials() == []
    assert refused(path, "wrong_trust_domain")


def test_callers_without_a_certificate(back: Secret) -> None:
    path = place(back)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["istio"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    client = arrive(path)
    for _ in range(3):
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        client.receive(outgoing.read())
        incoming.write(client.take())
    with pytest.raises(ssl.SSLError, match="certificate required"):
        tls.read(1)
    assert refused(path, "no_certificate")
    assert client.eof_written, "so that the alert is read before the end"
    client.lose()
    assert path.limits.open == 0


# Bounds.


@pytest.fixture
def hello(front: Secret) -> bytes:
    side = store_of(front).client(TO_BACK, MESH_HTTP)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        side.wrap(incoming, outgoing, "", "x").do_handshake()
    return outgoing.read()


def test_a_handshake_has_to_end(back: Secret, hello: bytes) -> None:
    path = place(back, settings=Settings(tls_handshake_timeout=3.0))
    client = arrive(path)
    client.receive(hello)
    assert path.serving.handshakes == 1
    path.loop.advance(3.1)
    assert client.eof_written
    assert refused(path, "timeout")
    assert path.serving.handshakes == 0


def test_handshakes_at_a_time(back: Secret, hello: bytes) -> None:
    path = place(back, settings=Settings(max_tls_handshakes=2))
    clients = [arrive(path) for _ in range(3)]
    for client in clients:
        client.receive(hello)
    assert [client.aborted for client in clients] == [False, False, True]
    assert refused(path, "max_tls_handshakes")
    clients[0].lose()
    assert path.serving.handshakes == 1
    another = arrive(path)
    another.receive(hello)
    assert not another.aborted


@pytest.mark.parametrize("said", [b"", b"\x16", b"\x16\x03\x01\x02\x00"])
def test_who_says_nothing_is_not_waited_for(back: Secret, said: bytes) -> None:
    path = place(back, refuse_plaintext=STRICT, settings=Settings(tls_handshake_timeout=15.0))
    client = arrive(path)
    if said:
        client.receive(said)
    path.loop.advance(17)
    assert client.closed


def test_what_is_said_of_refusals_is_bounded(
    back: Secret, caplog: pytest.LogCaptureFixture
) -> None:
    path = place(back, refuse_plaintext=STRICT)
    for _ in range(100):
        arrive(path).receive(GET)
    path.loop.advance(1.1)
    assert len(caplog.messages) == 11
    assert caplog.messages[-1] == "refused 90 more connections within a second: plaintext"
    assert path.plain("meshproxy_connections_refused_total", "in", "plaintext") == 100


# A new plan.


def strict() -> Snapshot:
    return inbound(mtls=True, refuse_plaintext=STRICT)


def renew(path: DataPath, snapshot: Snapshot, seconds: float = 25.0) -> None:
    path.configure(snapshot)
    readmit(path.serving, seconds)


def test_a_plan_that_admits_no_plain_text_any_more(front: Secret, back: Secret) -> None:
    path = place(back)
    idle, busy = arrive(path), arrive(path)
    secured = Caller(path, front)
    idle.receive(GET)
    app = path.dialled()
    app.receive(OK)
    busy.receive(GET)  # on the same connection to the app
    path.loop.advance(1)
    renew(path, strict())
    assert idle.closed
    assert not busy.closed
    app.take()
    app.receive(OK)
    assert busy.take().endswith(b"connection: close\r\n\r\nok")
    secured.say(GET)
    assert app.take().startswith(b"GET / "), "who may stay is not touched"


def test_the_longest_that_is_waited(back: Secret) -> None:
    path = place(back, Application.TCP)
    client = arrive(path)
    client.receive(b"hello")
    path.dialled()
    renew(path, inbound(Application.TCP, mtls=True, refuse_plaintext=STRICT), 5.0)
    path.loop.advance(4)
    assert not client.closed
    path.loop.advance(2)
    assert client.aborted


def test_mutual_tls_that_is_not_ended_here_any_more(front: Secret, back: Secret) -> None:
    path = place(back)
    caller = Caller(path, front)
    caller.say(GET)
    path.dialled().receive(OK)
    path.loop.advance(1)
    renew(path, inbound())
    assert caller.transport.closed


def test_what_came_too_early_is_turned_away(back: Secret) -> None:
    """A request that was on its way when the plan changed."""
    path = place(back)
    client = arrive(path)
    client.receive(GET)
    path.dialled().receive(OK)
    renew(path, strict())
    if not client.closed:
        client.receive(GET)
    assert client.closed
    assert path.dials() == []
