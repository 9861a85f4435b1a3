"""What every HTTP/2 codec does: two of them talk to each other, without a transport."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from meshproxy.wire.errors import WireError
from meshproxy.wire.h2 import (
    Code,
    Codec,
    DataCame,
    Event,
    GoAwayCame,
    HeadersCame,
    SettingsCame,
    StreamEnded,
    StreamReset,
)
from meshproxy.wire.h2_fast import FastCodec
from meshproxy.wire.h2_reference import ReferenceCodec
from tests.support import frames
from tests.support.frames import ACK, PING, cut

WINDOW = 100_000
REQUEST = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/"),
    (b":authority", b"app"),
]
ANSWER = [(b":status", b"200")]

CODECS = [pytest.param(FastCodec, id="fast"), pytest.param(ReferenceCodec, id="reference")]


@dataclass
class Pair:
    """``client`` and ``server`` hold what came to each, in order."""

    make: type[FastCodec] | type[ReferenceCodec]
    client: Codec = field(init=False)
    server: Codec = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.make(True, 100, WINDOW, 8192)
        self.server = self.make(False, 100, WINDOW, 8192)
        self.client.start()
        self.server.start()
        self.down()
        self.up()
        self.down()

    def up(self) -> list[Event]:
        """Hand the server what the client has sent."""
        return self.server.receive(self.client.take())

    def down(self) -> list[Event]:
        return self.client.receive(self.server.take())

    def ask(self, end: bool = True) -> int:
        number = self.client.new_stream()
        self.client.send_headers(number, REQUEST, end)
        assert self.up() == [HeadersCame(number, REQUEST, end)]
        return number


@pytest.fixture(params=CODECS)
def pair(request: pytest.FixtureRequest) -> Pair:
    return Pair(request.param)


@pytest.mark.parametrize("between", ["nothing", "taken", "other data", "an answer to a ping"])
def test_an_end_that_follows_data_goes_with_it(between: str) -> None:
    """An empty frame more is one more to read for all on the way."""
    pair = Pair(FastCodec)
    one, other = pair.ask(end=False), pair.ask(end=False)
    pair.client.send_data(one, b"x" * 10, False)
    sent = b""
    if between == "taken":
        sent = pair.client.take()
    elif between == "other data":
        pair.client.send_data(other, b"y", False)
    elif between == "an answer to a ping":
        pair.client.receive(b"\0\0\x08\x06\0\0\0\0\0" + b"p" * 8)
    pair.client.send_data(one, b"", True)
    sent += pair.client.take()
    ends = sent.count(b"\0\0\0\0\1" + one.to_bytes(4, "big"))
    assert ends == (0 if between == "nothing" else 1)
    events = pair.server.receive(sent)
    mine = [event for event in events if event.parts()[0] == one]
    assert mine == [DataCame(one, b"x" * 10, 10), StreamEnded(one, [])]


def test_a_request_and_its_answer(pair: Pair) -> None:
    number = pair.ask(end=False)
    pair.client.send_data(number, b"question", False)
    pair.client.send_trailers(number, [(b"x-sum", b"1")])
    assert pair.up() == [
        DataCame(number, b"question", 8),
        StreamEnded(number, [(b"x-sum", b"1")]),
    ]
    pair.server.send_headers(number, ANSWER, False)
    pair.server.send_data(number, b"answer", True)
    assert pair.down() == [
        HeadersCame(number, ANSWER, False),
        DataCame(number, b"answer", 6),
        StreamEnded(number, []),
    ]


def test_servers_take_extended_connect(pair: Pair) -> None:
    assert pair.client.upgrades() is True
    assert pair.server.upgrades() is False
    lines = [
        (b":method", b"CONNECT"),
        (b":protocol", b"websocket"),
        (b":scheme", b"http"),
        (b":authority", b"app"),
        (b":path", b"/chat"),
    ]
    number = pair.client.new_stream()
    pair.client.send_headers(number, lines, False)
    assert pair.up() == [HeadersCame(number, lines, False)]
    pair.server.send_headers(number, ANSWER, False)
    pair.server.send_data(number, b"there", False)
    assert pair.down() == [HeadersCame(number, ANSWER, False), DataCame(number, b"there", 5)]
    pair.client.send_data(number, b"here", True)
    assert pair.up() == [DataCame(number, b"here", 4), StreamEnded(number, [])]


def test_what_the_peer_takes_is_not_known_before_it_says_so(pair: Pair) -> None:
    client = pair.make(True, 100, WINDOW, 8192)
    client.start()
    assert client.upgrades() is None
    assert SettingsCame() in client.receive(b"\0\0\0\4\0\0\0\0\0")
    assert client.upgrades() is False


def test_a_length_says_nothing_of_a_tunnel(pair: Pair) -> None:
    """RFC 9110 9.3.6."""
    lines = [(b":method", b"CONNECT"), (b":authority", b"app:1")]
    number = pair.client.new_stream()
    pair.client.send_headers(number, lines, False)
    assert pair.up() == [HeadersCame(number, lines, False)]
    answer = [*ANSWER, (b"content-length", b"0")]
    pair.server.send_headers(number, answer, False)
    pair.server.send_data(number, b"there", True)
    assert pair.down() == [
        HeadersCame(number, answer, False),
        DataCame(number, b"there", 5),
        StreamEnded(number, []),
    ]


def test_a_connection_that_was_http1(pair: Pair) -> None:
    """RFC 7540 3.2: the request is stream 1, its settings count at once."""
    server, client = pair.make(False, 100, WINDOW, 8192), pair.make(True, 100, WINDOW, 8192)
    server.upgraded(b"\0\4" + (70_000).to_bytes(4, "big"))
    server.start()
    assert server.window(1) == 65_535  # the connection's
    server.send_headers(1, ANSWER, False)
    server.send_data(1, b"answer", True)
    sent = server.take()
    assert sent[3] == 4, "SETTINGS first"
    assert client.new_stream() == 1
    client.start()
    client.send_headers(1, REQUEST, True)
    client.take()
    events = [event for event in client.receive(sent) if event.parts()[:1] == (1,)]
    assert events == [
        HeadersCame(1, ANSWER, False),
        DataCame(1, b"answer", 6),
        StreamEnded(1, []),
    ]


def test_streams_after_the_one_that_was_http1(pair: Pair) -> None:
    server = pair.make(False, 100, WINDOW, 8192)
    server.upgraded(b"")
    server.start()
    sent = frames.PREFACE + frames.settings() + frames.headers(3, REQUEST)
    assert server.receive(sent)[-1] == HeadersCame(3, REQUEST, True)
    assert server.last_stream() == 3


@pytest.mark.parametrize("payload", [b"\0\2\0\0\0\2", b"\0\4\xff\0\0\0", b"\0\5\0\0\0\1"])
def test_wrong_settings_of_one_that_was_http1(pair: Pair, payload: bytes) -> None:
    server = pair.make(False, 100, WINDOW, 8192)
    with pytest.raises(WireError):
        server.upgraded(payload)


def test_windows_shut_and_open(pair: Pair) -> None:
    number = pair.ask(end=False)
    assert pair.client.window(number) == WINDOW
    pair.client.send_data(number, b"x" * WINDOW, False)
    assert pair.client.window(number) == 0
    taken = sum(event.counted for event in pair.up() if isinstance(event, DataCame))
    assert taken == WINDOW
    pair.server.consumed(number, taken)
    pair.down()
    assert pair.client.window(number) == WINDOW


@pytest.mark.parametrize("end", ["client", "server"])
def test_a_ping_and_its_answer(pair: Pair, end: str) -> None:
    """Neither is anybody's business but the connection's."""
    asks, answers = pair.client, pair.server
    if end == "server":
        asks, answers = answers, asks
    asks.ping()
    (ask,) = cut(sent := asks.take())
    assert ask[:3] == (PING, 0, 0)
    assert answers.receive(sent) == []
    (answer,) = cut(sent := answers.take())
    assert answer == (PING, ACK, 0, ask[3])
    assert asks.receive(sent) == []
    assert asks.take() == b""


def test_after_a_goaway_open_streams_finish(pair: Pair) -> None:
    number = pair.ask(end=False)
    pair.server.go_away(number)
    assert pair.down() == [GoAwayCame(number, 0)]
    pair.client.send_data(number, b"rest", True)
    assert pair.up() == [DataCame(number, b"rest", 4), StreamEnded(number, [])]
    pair.server.send_headers(number, ANSWER, True)
    assert pair.down() == [HeadersCame(number, ANSWER, True)]


def test_an_answer_behind_a_goaway_in_the_same_bytes(pair: Pair) -> None:
    number = pair.ask()
    pair.server.go_away(number)
    goaway = pair.server.take()
    pair.server.send_headers(number, ANSWER, True)
    events = pair.client.receive(goaway + pair.server.take())
    assert events == [GoAwayCame(number, 0), HeadersCame(number, ANSWER, True)]


def test_what_was_to_be_sent_when_a_goaway_came_is_sent(pair: Pair) -> None:
    number = pair.ask(end=False)
    pair.server.go_away(number)
    pair.client.send_data(number, b"rest", True)
    pair.down()
    assert pair.up() == [DataCame(number, b"rest", 4), StreamEnded(number, [])]


def test_sending_on_a_stream_that_was_reset_in_the_same_bytes(pair: Pair) -> None:
    """Its holder can't know yet: the events are handed out one by one."""
    number = pair.ask(end=False)
    pair.client.reset(number, Code.CANCEL)
    assert pair.up() == [StreamReset(number, Code.CANCEL.value)]
    pair.server.send_headers(number, ANSWER, False)
    pair.server.send_data(number, b"late", False)
    pair.server.send_trailers(number, [(b"x-late", b"1")])
    pair.server.consumed(number, 0)
    pair.server.reset(number, Code.CANCEL)
    other = pair.ask()
    pair.server.send_headers(other, ANSWER, True)
    assert pair.down() == [HeadersCame(other, ANSWER, True)]
