"""HTTP/2 by hand on both ends: the `h2` library on a blocking socket, windows left to the test.

    with Http2Client(port) as client:
        stream = client.request("GET", "/")
        assert client.answer(stream).status == 200

`Http2App` is a server whose tricks are chosen by path, as `tests.support.servers.App`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from tests.support.peers import PATIENCE, Ended, Peer
from tests.support.servers import Server

Pairs = Iterable[tuple[str, str]]
Settings = h2.settings.SettingCodes

_FRAME = 16_384


@dataclass
class Stream:
    """What has come on a stream so far."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    trailers: list[tuple[str, str]] = field(default_factory=list)
    interim: list[dict[str, str]] = field(default_factory=list)
    reset: int | None = None
    ended: bool = False
    owed: int = 0  # bytes that the windows have not been opened for

    def get(self, name: str) -> str | None:
        """The one value of a header, or None."""
        values = [value for found, value in self.headers if found == name]
        assert len(values) < 2, f"{name} comes {len(values)} times"
        return values[0] if values else None

    @property
    def status(self) -> int:
        return int(self.get(":status") or 0)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        return json.loads(bytes(self.body))


class _Connection(h2.connection.H2Connection):
    """The library takes a GOAWAY for the end; streams that were open before it may finish."""

    def _receive_goaway_frame(self, frame: Any) -> Any:
        state = self.state_machine.state
        found = super()._receive_goaway_frame(frame)
        self.state_machine.state = state
        return found


class Http2Peer:
    """One end of a connection. ``greedy``: windows are opened as data comes."""

    def __init__(
        self,
        peer: Peer,
        client: bool,
        settings: dict[Any, int] | None = None,
        checked: bool = True,
    ) -> None:
        self.peer = peer
        self.greedy = True
        self.streams: dict[int, Stream] = {}
        self.goaway: h2.events.ConnectionTerminated | None = None
        self.pings = 0
        self.conn = _Connection(
            h2.config.H2Configuration(
                client_side=client,
                header_encoding="latin-1",
                validate_outbound_headers=checked,
                normalize_outbound_headers=checked,
            )
        )
        # Setting them one by one would only announce them after the first acknowledgement.
        self.conn.local_settings = h2.settings.Settings(
            client=client,
            initial_values={Settings.MAX_CONCURRENT_STREAMS: 100, **(settings or {})},
        )
        self.conn.initiate_connection()
        self.flush()

    def flush(self) -> None:
        data = self.conn.data_to_send()
        if data:
            self.peer.send(data)

    def pump(self) -> bool:
        """Take in what comes next; False at the end of the connection."""
        data = self.peer.more()
        self.peer.buffer = b""
        if not data:
            return False
        for event in self.conn.receive_data(data):
            self._on(event)
        self.flush()
        return True

    def until(self, condition: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"waited for {what}")
            if not self.pump():
                raise Ended(f"before {what}")

    def _on(self, event: h2.events.Event) -> None:
        number = getattr(event, "stream_id", 0)
        stream = self.streams.setdefault(number, Stream()) if number else Stream()
        match event:
            case h2.events.InformationalResponseReceived():
                stream.interim.append(dict(event.headers))  # type: ignore[arg-type]
            case h2.events.ResponseReceived() | h2.events.RequestReceived():
                stream.headers = list(event.headers)  # type: ignore[arg-type]
            case h2.events.TrailersReceived():
                stream.trailers = list(event.headers)  # type: ignore[arg-type]
            case h2.events.DataReceived():
                stream.body += event.data
                stream.owed += event.flow_controlled_length
                if self.greedy:
                    self.open_window(number)
            case h2.events.StreamEnded():
                stream.ended = True
            case h2.events.StreamReset():
                stream.reset = int(event.error_code)
            case h2.events.PingReceived():
                self.pings += 1
            case h2.events.ConnectionTerminated():
                self.goaway = event

    def open_window(self, number: int) -> None:
        """Let the other end send as much again as has come."""
        stream = self.streams[number]
        if stream.owed:
            self.conn.acknowledge_received_data(stream.owed, number)
            stream.owed = 0
            self.flush()

    def data(self, number: int, data: bytes, end: bool = False) -> None:
        """Send data, waiting for the windows where they are shut."""
        while data:
            room = min(self.conn.local_flow_control_window(number), _FRAME, len(data))
            if not room:
                if not self.pump():
                    raise Ended("while waiting for a window")
                continue
            self.conn.send_data(number, data[:room], end_stream=end and room == len(data))
            self.flush()
            data = data[room:]

    def end(self, number: int, trailers: Pairs = ()) -> None:
        """End our side of a stream: with trailers, or with an empty frame."""
        found = list(trailers)
        if found:
            self.conn.send_headers(number, found, end_stream=True)
        else:
            self.conn.end_stream(number)
        self.flush()

    def cancel(self, number: int, code: int = 8) -> None:
        self.conn.reset_stream(number, code)
        self.flush()

    def close(self) -> None:
        self.peer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Http2Client(Http2Peer):
    """Prior knowledge: it begins with the preface. ``checked`` False sends what is malformed."""

    def __init__(
        self,
        port: int,
        settings: dict[Any, int] | None = None,
        checked: bool = True,
        receive_buffer: int = 0,
    ) -> None:
        peer = Peer.connect(port, receive_buffer=receive_buffer)
        super().__init__(peer, True, settings, checked)

    def request(
        self,
        method: str = "GET",
        path: str = "/",
        host: str = "app",
        headers: Pairs = (),
        end: bool = True,
    ) -> int:
        """Begin a request; its stream."""
        return self.raw(
            [
                (":method", method),
                (":scheme", "http"),
                (":authority", host),
                (":path", path),
                *headers,
            ],
            end,
        )

    def raw(self, headers: list[tuple[str, str]], end: bool = True) -> int:
        number = self.conn.get_next_available_stream_id()
        self.conn.send_headers(number, headers, end_stream=end)
        self.streams[number] = Stream()
        self.flush()
        return number

    def answer(self, number: int) -> Stream:
        """The whole answer, or what there is of it when the stream was reset."""
        stream = self.streams[number]
        self.until(
            lambda: stream.ended or stream.reset is not None or self.goaway is not None,
            f"the end of stream {number}",
        )
        return stream

    def ask(
        self,
        method: str = "GET",
        path: str = "/",
        host: str = "app",
        headers: Pairs = (),
        body: bytes = b"",
    ) -> Stream:
        number = self.request(method, path, host, headers, end=not body)
        if body:
            self.data(number, body, end=True)
        return self.answer(number)


class Http2App(Server):
    """An HTTP/2 app; ``streams`` counts requests by path, ``resets`` those that were cancelled."""

    def __init__(self, settings: dict[Any, int] | None = None) -> None:
        self.requests: list[dict[str, str]] = []
        self.resets: list[int] = []
        self.sent = 0
        self.heard = b""  # in a tunnel with ``end``
        self.goaway_at = 0  # the stream of each connection that is answered by GOAWAY alone
        self.released = threading.Event()
        self._settings = settings
        super().__init__(self._serve)

    def _serve(self, peer: Peer) -> None:
        peer.sock.settimeout(0.02)
        side = _Side(peer, self, self._settings)
        while True:
            try:
                if not side.pump():
                    return
            except TimeoutError:
                pass
            side.step()

    def count(self, path: str) -> int:
        found = [each.get(":path", "").partition("?")[0] for each in self.requests]
        return found.count(path)


class _Side(Http2Peer):
    """One connection of the app."""

    def __init__(self, peer: Peer, app: Http2App, settings: dict[Any, int] | None) -> None:
        self._app = app
        self._waiting: dict[int, Callable[[], bool]] = {}  # to be called until they are done
        self._known: set[int] = set()
        super().__init__(peer, False, settings)

    def step(self) -> None:
        for number, stream in list(self.streams.items()):
            if stream.headers and number not in self._known:
                self._known.add(number)
                self._begin(number, stream)
            if stream.reset is not None and number in self._waiting:
                del self._waiting[number]
                self._app.resets.append(stream.reset)
        for number, go_on in list(self._waiting.items()):
            try:
                done = go_on()
            except h2.exceptions.StreamClosedError:
                done = True
            if done:
                self._waiting.pop(number, None)
        self.flush()

    def _begin(self, number: int, stream: Stream) -> None:
        app = self._app
        if app.goaway_at and len(self._known) == app.goaway_at:
            self.conn.close_connection(last_stream_id=number - 2)
            self.flush()
            return
        fields = dict(stream.headers)
        app.requests.append(fields)
        path, _, query = fields.get(":path", "/").partition("?")
        given = dict(parse_qsl(query, keep_blank_values=True))
        other = self.do_tunnel if fields[":method"] == "CONNECT" else self.do_
        do = getattr(self, "do_" + path.strip("/").replace("-", "_") if path != "/" else "", other)
        self._waiting[number] = do(number, stream, given)

    def _head(self, number: int, headers: Pairs = (), end: bool = False, status: int = 200) -> None:
        self.conn.send_headers(number, [(":status", str(status)), *headers], end_stream=end)

    # Each returns a function that is called again and again until it says that it is done.

    def _pour(self, number: int, data: bytes) -> Callable[[], bool]:
        """Sends data and the end, as the windows let it through."""

        def go_on() -> bool:
            nonlocal data
            while room := min(self.conn.local_flow_control_window(number), _FRAME, len(data)):
                self.conn.send_data(number, data[:room], end_stream=room == len(data))
                data = data[room:]
            return not data

        return go_on

    def do_(self, number: int, stream: Stream, query: dict[str, str]) -> Callable[[], bool]:
        """What it was sent, as JSON, once that has ended."""
        pour: Callable[[], bool] | None = None

        def go_on() -> bool:
            nonlocal pour
            if not stream.ended:
                return False
            if pour is None:
                told = {
                    "headers": stream.headers,
                    "body": stream.body.decode("latin-1"),
                    "trailers": stream.trailers,
                    "connection": self._app.peers.index(self.peer),
                    "stream": number,
                }
                text = json.dumps(told).encode()
                self._head(number, [("content-length", str(len(text)))])
                pour = self._pour(number, text)
            return pour()

        return go_on

    def do_tunnel(self, number: int, stream: Stream, query: dict[str, str]) -> Callable[[], bool]:
        """Agrees to CONNECT, plain or extended, greets, then echoes; ends when the other has ended.

        ``end``: ends its side after the greeting, and reads on.
        """
        self._head(number, [("x-chosen", "yes")])
        self.conn.send_data(number, b"hello ", end_stream="end" in query)
        echoed = 0

        def go_on() -> bool:
            nonlocal echoed
            if "end" in query:
                if stream.ended:
                    self._app.heard = bytes(stream.body)
                return stream.ended
            while room := min(
                self.conn.local_flow_control_window(number), _FRAME, len(stream.body) - echoed
            ):
                self.conn.send_data(number, bytes(stream.body[echoed : echoed + room]))
                echoed += room
            if stream.ended and echoed == len(stream.body):
                self.conn.send_data(number, b"bye", end_stream=True)
                return True
            return False

        return go_on

    def do_empty(self, number: int, stream: Stream, query: dict[str, str]) -> Callable[[], bool]:
        """A head that ends the stream; ``frame``: ended by an empty frame."""
        self._head(number, [("x-empty", "yes")], end="frame" not in query)
        if "frame" in query:
            self.conn.end_stream(number)
        return lambda: True

    def do_trailers(self, number: int, stream: Stream, query: dict[str, str]) -> Callable[[], bool]:
        """A body, and trailers; ``code`` is the gRPC status."""
        self._head(number, [("content-type", query.get("type", "text/plain"))])
        self.conn.send_data(number, b"body")
        trailers = [("grpc-status", query.get("code", "0")), ("x-sum", "4")]
        self.conn.send_headers(number, trailers, end_stream=True)
        return lambda: True

    def do_status(self, number: int, stream: Stream, query: dict[str, str]) -> Callable[[], bool]:
        self._head(number, end=True, status=int(query["code"]))
        return lambda: True

    def do_hints(self, number: int, stream: Stream, query: dict[str, str]) -> Callable[[], bool]:
        """103 before the answer."""
        self.conn.send_headers(number, [(":status", "103"), ("link", "</a.css>")])
        self._head(number, end=True)
        return lambda: True

    def do_reset(self, number: int, stream: Stream, query: dict[str, str]) -> Callable[[], bool]:
        """A reset; ``late``: after a head and a byte."""
        if "late" in query:
            self._head(number)
            self.conn.send_data(number, b"x")
            self.flush()
            time.sleep(0.05)
        self.conn.reset_stream(number, int(query.get("code", "2")))
        return lambda: True

    def do_break(self, number: int, stream: Stream, query: dict[str, str]) -> Callable[[], bool]:
        """Agrees to CONNECT, and resets the stream once it has heard a word."""
        self._head(number)

        def go_on() -> bool:
            if stream.body:
                self.conn.reset_stream(number, 8)
            return bool(stream.body)

        return go_on

    def do_hold(self, number: int, stream: Stream, query: dict[str, str]) -> Callable[[], bool]:
        """An answer once the test sets ``released``."""

        def go_on() -> bool:
            if not self._app.released.is_set():
                return False
            self._head(number)
            self.conn.send_data(number, b"released", end_stream=True)
            return True

        return go_on

    def do_early(self, number: int, stream: Stream, query: dict[str, str]) -> Callable[[], bool]:
        """The whole answer before the request has ended."""
        self._head(number)
        self.conn.send_data(number, b"early", end_stream=True)
        return lambda: True

    def do_endless(self, number: int, stream: Stream, query: dict[str, str]) -> Callable[[], bool]:
        """Data for as long as the windows let it through, up to ``n`` or half a gigabyte."""
        self._head(number)
        left = int(query.get("n", 512 << 20))

        def go_on() -> bool:
            nonlocal left
            while left and (room := self.conn.local_flow_control_window(number)):
                piece = min(room, _FRAME, left)
                self.conn.send_data(number, b"e" * piece, end_stream=piece == left)
                left -= piece
                self._app.sent += piece
                try:
                    self.peer.sock.settimeout(None)
                    self.flush()
                finally:
                    self.peer.sock.settimeout(0.02)
            return not left

        return go_on
