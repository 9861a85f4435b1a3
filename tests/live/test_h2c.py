"""`Upgrade: h2c` from curl and by hand, on both kinds of listener (RFC 7540 section 3.2)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from tests.live.conftest import Scene
from tests.support.namespaces import tool
from tests.support.peers import LOCAL, Peer

CURL = tool("curl") or ""
SIDES = pytest.mark.parametrize("side", ["outbound", "inbound"])


def curl(port: int, path: str, *arguments: str) -> tuple[str, bytes]:
    """Status, version and number of connections; the body."""
    told = "\n%{http_code} %{http_version} %{num_connects}"
    command = [CURL, "--silent", "--show-error", "--max-time", "20", "--http2", "-w", told]
    command += [*arguments, "-H", "Host: app", f"http://{LOCAL}:{port}{path}"]
    done = subprocess.run(command, capture_output=True, check=True)
    body, _, words = done.stdout.rpartition(b"\n")
    return words.decode(), body


@pytest.mark.skipif(not CURL, reason="not installed: curl")
class TestCurl:
    @SIDES
    def test_a_request(self, scene: Scene, side: str) -> None:
        path = f"/?curl-{side}"
        words, body = curl(getattr(scene, side), path)
        assert words == "200 2 1"
        assert b"h2c" not in body.lower()
        assert b"http2-settings" not in body.lower()
        assert f'"GET {path} HTTP/2" 200 ' in scene.proxy.access(path)

    @SIDES
    def test_the_next_request_is_on_the_same_connection(self, scene: Scene, side: str) -> None:
        port = getattr(scene, side)
        url = f"http://{LOCAL}:{port}/?second"
        command = [CURL, "-s", "--http2", "-H", "Host: app", "--max-time", "20"]
        command += ["-w", "%{http_version}:%{num_connects} ", "-o", "/dev/null", "-o", "/dev/null"]
        done = subprocess.run([*command, url, url], capture_output=True, check=True)
        assert done.stdout.split() == [b"2:1", b"2:0"]

    @SIDES
    def test_a_large_answer(self, scene: Scene, side: str) -> None:
        size = 3 << 20
        words, body = curl(getattr(scene, side), f"/bytes?n={size}")
        assert words == "200 2 1"
        assert len(body) == size

    @SIDES
    def test_head(self, scene: Scene, side: str) -> None:
        words, _ = curl(getattr(scene, side), "/status?code=200&length=5", "--head")
        assert words == "200 2 1"

    @SIDES
    def test_a_request_with_a_body_stays_what_it_is(
        self, scene: Scene, side: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "body"
        file.write_bytes(b"body" * 1000)
        words, body = curl(getattr(scene, side), "/", "--data-binary", f"@{file}")
        assert words.split()[:2] == ["200", "1.1"]
        assert body.count(b"body") >= 1000


def asked(path: str = "/", *more: str) -> str:
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: app",
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        *more,
    ]
    return "\r\n".join([*lines, "", ""])


@SIDES
def test_by_hand(scene: Scene, side: str) -> None:
    """The library asks, and gets both the first answer and that to a second stream."""
    conn = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    settings = conn.initiate_upgrade_connection()
    assert settings is not None
    path = f"/?hand-{side}"
    with Peer.connect(getattr(scene, side)) as client:
        client.send(asked(path, f"HTTP2-Settings: {settings.decode().rstrip('=')}"))
        answer = client.head()
        assert answer.status == 101
        assert answer.get("upgrade") == "h2c"
        assert answer.has("connection", "upgrade")
        fields = [(":method", "GET"), (":scheme", "http"), (":authority", "app"), (":path", "/")]
        conn.send_headers(3, fields, end_stream=True)
        client.send(conn.data_to_send())
        statuses: dict[int, str] = {}
        ended: set[int] = set()
        while len(ended) < 2:
            data = client.buffer or client.more()
            client.buffer = b""
            assert data
            for event in conn.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    statuses[event.stream_id] = dict(event.headers)[":status"]  # type: ignore[index,arg-type]
                elif isinstance(event, h2.events.StreamEnded):
                    ended.add(event.stream_id)
            client.send(conn.data_to_send())
        assert statuses == {1: "200", 3: "200"}


@SIDES
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param((), id="none"),
        pytest.param(("HTTP2-Settings: AAMAAABk", "HTTP2-Settings: AAMAAABk"), id="two"),
        pytest.param(("HTTP2-Settings: !!!!",), id="no base64"),
        pytest.param(("HTTP2-Settings: AAMAAAA",), id="half a setting"),
        pytest.param(("HTTP2-Settings: AAIAAAAC",), id="a wrong setting"),
    ],
)
def test_settings_that_are_broken(scene: Scene, side: str, settings: tuple[str, ...]) -> None:
    """RFC 7540 3.2.1: there must be no upgrade then; the request is one of HTTP/1.1."""
    with Peer.connect(getattr(scene, side)) as client:
        answer = client.send(asked("/", *settings)).answer()
        assert answer.status == 200
        assert answer.seen.get("upgrade") is None
        assert answer.seen.get("http2-settings") is None
        assert client.ask().status == 200
