"""What every HTTP/2 codec does: two of them talk to each other, without a transport."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from meshproxy.wire.h2 import (
    Code,
    Codec,
    DataCame,
    Event,
    GoAwayCame,
    HeadersCame,
    StreamEnded,
    StreamReset,
)
from meshproxy.wire.h2_fast import FastCodec
from meshproxy.wire.h2_reference import ReferenceCodec
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
