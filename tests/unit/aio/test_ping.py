"""The keepalive alone: when it asks, and when it gives up."""

from __future__ import annotations

from meshproxy.aio.ping import PingKeepalive
from meshproxy.aio.timers import Timers
from tests.support.fakes import FakeClock


class Connection:
    def __init__(self) -> None:
        self.heard = False
        self.pings = 0
        self.silence = ""

    def ping(self) -> None:
        self.pings += 1

    def on_silence(self, reason: str) -> None:
        self.silence = reason


def asking(interval: float = 10, timeout: float = 4) -> tuple[FakeClock, Connection, PingKeepalive]:
    clock, connection = FakeClock(), Connection()
    return clock, connection, PingKeepalive(Timers(clock), interval, timeout, connection)


def test_silence() -> None:
    clock, connection, _ = asking()
    clock.advance(9.9)
    assert connection.pings == 0
    clock.advance(4.1)
    assert (connection.pings, connection.silence) == (1, "")
    clock.advance(0.1)
    assert connection.silence == "nothing came within 4 s of a PING"
    clock.advance(60)
    assert connection.pings == 1


def test_what_came_before_the_ping_is_no_answer() -> None:
    clock, connection, _ = asking()
    connection.heard = True
    clock.advance(15)
    assert connection.silence


def test_a_timeout_that_is_longer_than_the_interval() -> None:
    clock, connection, _ = asking(interval=2, timeout=5)
    for _ in range(20):
        clock.advance(1)
        connection.heard = True
    assert connection.pings in (3, 4)
    assert not connection.silence


def test_stopping() -> None:
    clock, connection, keepalive = asking()
    clock.advance(10.1)
    keepalive.stop()
    clock.advance(60)
    assert (connection.pings, connection.silence) == (1, "")


def test_an_answer_that_we_were_too_busy_to_read() -> None:
    """After a standstill all timers are due at once, before what came meanwhile is read."""
    clock, connection, _ = asking()
    clock.advance(10.1)
    clock.now += 100
    clock.advance(0)
    connection.heard = True
    clock.advance(1)
    assert not connection.silence
    clock.advance(20)
    assert connection.pings > 1
