"""The layer between two ends in memory: whatever way the bytes are cut."""

from __future__ import annotations

import pytest

from meshproxy.model.secret import Secret
from meshproxy.tls.layer import TlsLayer, Wrap
from meshproxy.upstream import alpn
from tests.unit.tls.conftest import MESH, Pair, store_of


def answering(secret: Secret) -> Wrap:
    side = store_of(secret).server(None)
    assert side is not None
    return side.wrap


CUTS = pytest.mark.parametrize("cut", [1, 7, 1400, 1 << 20])


def pair(front: Secret, back: Secret, cut: int = 1 << 20) -> Pair:
    return Pair(store_of(back), store_of(front).client(MESH, alpn.HTTP1.mesh), cut=cut)


@CUTS
def test_both_ends_hear_each_other(front: Secret, back: Secret, cut: int) -> None:
    both = pair(front, back, cut)
    both.client.write(b"hello")
    both.server.writelines([b"good ", b"", b"morning"])
    both.settle()
    assert (both.server_app.said, both.client_app.said) == (b"hello", b"good morning")
    assert both.client.tls.version() == "TLSv1.3"
    assert both.server.tls.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize("size", [16384, 16385, 65536, 65537, 1_000_000])
def test_much_is_passed_on_whole(front: Secret, back: Secret, size: int) -> None:
    both = pair(front, back, 50_000)
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    both.client.write(data)
    both.settle()
    assert both.server_app.said == data


def test_one_read_is_one_call(front: Secret, back: Secret) -> None:
    both = pair(front, back)
    both.client.write(b"a" * 60_000)  # several records
    both.client.write(b"b")
    both.settle()
    assert len(both.server_app.reads) == 1


def test_what_comes_with_the_end_of_the_handshake_is_not_lost(front: Secret, back: Secret) -> None:
    """A TLS 1.3 client speaks before the server has seen its certificate."""
    both = Pair(store_of(back), store_of(front).client(MESH, ()), hurry=b"early")
    assert both.server_app.said == b"early"


@CUTS
def test_each_direction_ends_by_itself(front: Secret, back: Secret, cut: int) -> None:
    both = pair(front, back, cut)
    both.client.write(b"ask")
    both.client.write_eof()
    both.settle()
    assert (both.server_app.said, both.server_app.ended) == (b"ask", True)
    both.server.write(b"answer")
    both.settle()
    assert both.client_app.said == b"answer"
    assert not both.client_app.ended
    both.server.close()
    both.settle()
    assert both.client_app.ended
    assert both.server_app.gone
    assert both.server_app.lost is None


def test_the_other_end_closes_when_nobody_goes_on(front: Secret, back: Secret) -> None:
    both = pair(front, back)
    both.server_app.keep = False
    both.client.close()
    both.settle()
    assert both.server_app.ended
    assert both.server_app.gone
    assert both.server_app.lost is None


def test_an_end_that_was_not_said_is_a_reset(front: Secret, back: Secret) -> None:
    """Otherwise whoever can cut a wire could shorten an answer (RFC 8446 section 6.1)."""
    both = pair(front, back)
    both.client.write(b"half")
    both.settle()
    both.client_wire.ended = True
    both.settle()
    both.server.connection_lost(None)
    assert not both.server_app.ended
    assert isinstance(both.server_app.lost, ConnectionResetError)
    assert "without saying so" in str(both.server_app.lost)


def test_bytes_that_were_changed_end_the_connection(front: Secret, back: Secret) -> None:
    both = pair(front, back)
    both.client.write(b"x" * 100)
    both.client_wire.sent = [both.client_wire.sent[0][:-1] + b"?"]
    both.settle()
    assert both.server_app.said == b""
    assert isinstance(both.server_app.lost, ConnectionResetError)
    assert "bad record mac" in str(both.client_app.lost), "the alert has reached the other end"


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\0" * 50]
)
def test_what_is_no_handshake_fails(back: Secret, front: Secret, garbage: bytes) -> None:
    both = pair(front, back)
    server = TlsLayer(answering(back), both.server_app, both.server_app)
    server.start(both.server_wire)
    server.data_received(garbage)
    assert both.server_app.failure is not None
    assert both.server_app.failure.word in ("no_tls", "broken")
    server.data_received(b"more")
    assert both.server_app.reads == []


def test_a_peer_that_leaves_during_the_handshake(back: Secret, front: Secret) -> None:
    both = pair(front, back)
    server = TlsLayer(answering(back), both.server_app, both.server_app)
    server.start(both.server_wire)
    server.connection_lost(None)
    assert both.server_app.failure is not None
    assert both.server_app.failure.word == "closed"


def test_after_the_end_nothing_is_written(front: Secret, back: Secret) -> None:
    both = pair(front, back)
    both.client.close()
    both.client.write(b"late")
    both.client.write_eof()
    both.settle()
    assert both.server_app.said == b""
