"""Upgrade and CONNECT: after the agreement bytes pass both ways, and each side ends by itself."""

from __future__ import annotations

import pytest

from tests.live.conftest import Scene
from tests.support.peers import Peer, ask, request, wait_until


def upgrade(path: str = "/upgrade", token: str = "websocket", connection: str = "Upgrade") -> bytes:
    headers = [("Connection", connection), ("Upgrade", token), ("Sec-WebSocket-Key", "k")]
    return request("GET", path, headers=headers)


@pytest.mark.parametrize("token", ["websocket", "WebSocket", "my-protocol/7"])
@pytest.mark.parametrize("side", ["outbound", "inbound"])
def test_any_token_passes(scene: Scene, token: str, side: str) -> None:
    with Peer.connect(getattr(scene, side)) as client:
        answer = client.send(upgrade(token=token)).answer()
        assert answer.status == 101
        assert answer.get("upgrade") == token
        assert answer.has("connection", "upgrade")
        assert answer.get("x-chosen") == "yes"
        assert client.exactly(6) == b"hello "
        client.send(b"\x00\x01binary")
        assert client.exactly(8) == b"\x00\x01binary"


def test_each_side_ends_by_itself(scene: Scene) -> None:
    """The client ends, the app still answers, and then it ends as well."""
    with scene.client() as client:
        assert client.send(upgrade()).answer().status == 101
        client.send(b"last words ").end()
        assert client.rest() == b"hello last words bye"


def test_what_is_sent_ahead_is_not_lost(scene: Scene) -> None:
    """Bytes for the new protocol in the same segment as the request."""
    with scene.client() as client:
        client.send(upgrade() + b"ahead ")
        assert client.answer().status == 101
        client.send(b"and after").end()
        assert client.rest() == b"hello ahead and afterbye"


def test_much_passes_both_ways(scene: Scene) -> None:
    data = bytes(range(256)) * 8192  # 2 MiB, more than any buffer on the way
    with scene.client() as client:
        assert client.send(upgrade()).answer().status == 101
        assert client.exactly(6) == b"hello "
        got = b""
        for at in range(0, len(data), 65536):
            client.send(data[at : at + 65536])
            got += client.exactly(65536)
        assert got == data


def test_an_upgrade_that_is_refused_is_a_plain_answer(scene: Scene) -> None:
    with scene.client() as client:
        answer = client.send(upgrade("/?no")).answer()
        assert answer.status == 200
        assert answer.seen.get("upgrade") == "websocket"
        assert answer.seen.has("connection", "upgrade")
        assert client.ask().status == 200, "the connection goes on"


def test_an_upgrade_that_connection_does_not_name_is_none(scene: Scene) -> None:
    """`Upgrade` is hop-by-hop: without a mention in `Connection` it ends here."""
    answer = ask(scene.outbound, "/", headers=[("Upgrade", "websocket")])
    assert answer.seen.get("upgrade") is None


@pytest.mark.parametrize("token", ["h2c, websocket", "websocket, h2c"])
def test_h2c_is_taken_away(scene: Scene, token: str) -> None:
    """The connection would change protocol under our feet. Alone it is ours: `test_h2c.py`."""
    headers = [
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", token),
        ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"),
    ]
    with scene.client() as client:
        answer = client.ask("/", headers=headers)
        assert answer.status == 200
        assert answer.seen.get("upgrade") is None
        assert answer.seen.get("http2-settings") is None
        assert answer.seen.get("connection") is None
        assert client.ask().status == 200, "it is still HTTP/1.1"


def test_the_app_may_end_first(scene: Scene) -> None:
    """It still hears what the client says after that."""
    with scene.client() as client:
        assert client.send(upgrade("/upgrade?end")).answer().status == 101
        assert client.rest() == b"hello "
        client.send(b"still here").end()
        wait_until(lambda: scene.app.heard == b"still here", "the app to hear it")
        scene.app.heard = b""


def test_a_client_that_breaks_off_ends_the_tunnel(scene: Scene) -> None:
    with scene.client() as client:
        assert client.send(upgrade()).answer().status == 101
        before = scene.app.open
        client.reset()
    wait_until(lambda: scene.app.open < before, "the app's connection to end")


def test_the_tunnel_is_logged_when_it_ends(scene: Scene) -> None:
    with scene.client() as client:
        client.send(upgrade("/upgrade?logged")).answer()
        client.send(b"12345").end()
        client.rest()
    line = scene.proxy.access("/upgrade?logged")
    assert " 101 - via_upstream " in line
    assert " 5 14 " in line, "bytes received, bytes sent"


def test_connect(scene: Scene) -> None:
    """To a service as to any other: the app agrees, and bytes pass."""
    with scene.client() as client:
        client.send(f"CONNECT app:{scene.outbound} HTTP/1.1\r\nHost: app:{scene.outbound}\r\n\r\n")
        answer = client.head()
        assert answer.status == 200
        assert answer.get("transfer-encoding") is None
        assert answer.get("content-length") is None
        client.send(b"\x16\x03\x01 opaque")
        assert client.exactly(10) == b"\x16\x03\x01 opaque"
        client.end()
        assert client.ending() == "end"


def test_a_connect_that_is_refused(scene: Scene) -> None:
    with scene.client() as client:
        answer = client.send("CONNECT app:1 HTTP/1.1\r\nHost: app:1\r\n\r\n").answer()
        assert (answer.status, answer.text) == (403, "not there")


def test_connect_to_nobody(scene: Scene) -> None:
    with scene.client() as client:
        client.send("CONNECT unknown.example:443 HTTP/1.1\r\nHost: unknown.example:443\r\n\r\n")
        assert client.answer().status == 502
