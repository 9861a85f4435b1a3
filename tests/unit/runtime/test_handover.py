"""Which worker takes a fresh connection."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from meshproxy.runtime.handover import Handover, Lane, lanes
from meshproxy.runtime.page import Column, Page, new_page

NOW = 100.0


class Loop:
    """Knows who wants to read."""

    def __init__(self) -> None:
        self.readers: dict[int, Callable[[], None]] = {}

    def add_reader(self, sock: socket.socket, callback: Callable[[], None]) -> None:
        self.readers[sock.fileno()] = callback


class Connection:
    """A transport with a real socket: its other end tells whether it lives."""

    def __init__(self) -> None:
        self.sock, self.client = socket.socketpair()
        self.aborted = False

    def get_extra_info(self, name: str) -> socket.socket:
        assert name == "socket"
        return self.sock

    def abort(self) -> None:
        self.aborted = True
        self.sock.close()


class Crew:
    """Workers that have these many connections, all alive and with the same plan."""

    def __init__(self, *counts: int) -> None:
        self.page = Page(new_page())
        self.ways = lanes(len(counts))
        self.loops = [Loop() for _ in counts]
        self.adopted: list[tuple[int, str, socket.socket, Callable[[], None]]] = []
        self.handed: list[str] = []
        self.connections: list[Connection] = []
        self.workers = [self._worker(at, count) for at, count in enumerate(counts)]

    def _worker(self, at: int, count: int) -> Handover:
        row = self.page.row(at)
        row[Column.CONNECTIONS] = count
        row[Column.GENERATION] = 1
        row[Column.HEARTBEAT] = int(NOW * 1000)
        loop: Any = self.loops[at]

        def adopt(name: str, sock: socket.socket, arrived: Callable[[], None]) -> None:
            self.adopted.append((at, name, sock, arrived))

        return Handover(loop, lambda: NOW, self.page, at, self.ways, adopt, self.handed.append)

    def accept(self, at: int, listener: str = "in") -> Connection:
        connection = Connection()
        self.connections.append(connection)
        transport: Any = connection
        if not self.workers[at].hand(transport, listener):
            self.page.row(at)[Column.CONNECTIONS] += 1
        return connection

    def take(self, at: int) -> None:
        """What was handed to it arrives."""
        (told,) = self.loops[at].readers.values()
        told()

    def close(self) -> None:
        for _, _, sock, _ in self.adopted:
            sock.close()
        for connection in self.connections:
            connection.sock.close()
            connection.client.close()
        for lane in self.ways:
            lane.to.close()
            lane.end.close()


@pytest.fixture
def crew(request: pytest.FixtureRequest) -> Iterator[Crew]:
    made = Crew(*request.param)
    with contextlib.closing(made):
        yield made


def of(*counts: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("crew", [counts], indirect=True)


@of(1, 0)
def test_who_has_more_hands_it_over_alive(crew: Crew) -> None:
    connection = crew.accept(0, "127.0.0.1_80")
    connection.client.send(b"hello")
    assert connection.aborted
    assert crew.handed == ["127.0.0.1_80"]
    crew.take(1)
    ((at, name, sock, arrived),) = crew.adopted
    assert (at, name) == (1, "127.0.0.1_80")
    assert sock.recv(10) == b"hello"
    assert crew.page.row(1)[Column.ADOPTING] == 1
    arrived()
    assert crew.page.row(1)[Column.ADOPTING] == 0


@of(2, 2)
def test_who_has_as_many_as_the_others_keeps_it(crew: Crew) -> None:
    assert not crew.accept(0).aborted
    assert crew.handed == []


@of(0, 0, 0)
def test_what_is_on_its_way_counts(crew: Crew) -> None:
    """One worker accepts all, the others have not yet come to take theirs."""
    kept = [not crew.accept(0).aborted for _ in range(9)]
    assert kept == [True, False, False] * 3
    for at in (1, 2):
        crew.take(at)
    assert [at for at, *_ in crew.adopted] == [1, 1, 1, 2, 2, 2]
    assert not crew.accept(0).aborted, "taken, and not yet counted"


@of(9, 0)
@pytest.mark.parametrize(
    ("column", "value"),
    [
        pytest.param(Column.GENERATION, 2, id="by another plan"),
        pytest.param(Column.GENERATION, 0, id="not started, or ending"),
        pytest.param(Column.HEARTBEAT, int((NOW - 1.5) * 1000), id="not running"),
    ],
)
def test_nothing_goes_to_who_may_not_take_it(crew: Crew, column: Column, value: int) -> None:
    crew.page.row(1)[column] = value
    assert not crew.accept(0).aborted


@of(1000, 0)
def test_it_may_cost_only_so_much(crew: Crew) -> None:
    handed = [crew.accept(0).aborted for _ in range(100)]
    assert handed == [True] * 32 + [False] * 68
    crew.take(1)
    crew.workers[0].refill()
    assert crew.accept(0).aborted


@of(1000, 0)
def test_nothing_is_lost_when_no_more_fit(crew: Crew) -> None:
    kept = 0
    for _ in range(40):
        crew.workers[0].refill()
        kept += sum(not crew.accept(0).aborted for _ in range(20))
    crew.take(1)
    assert kept + len(crew.adopted) == 800
    assert kept > 0


@of(1, 0)
def test_a_name_that_does_not_fit_stays_here(crew: Crew) -> None:
    assert not crew.accept(0, "x" * 65).aborted
    assert crew.accept(0, "x" * 64).aborted


def test_one_alone_has_nobody_to_hand_to() -> None:
    assert lanes(1) == ()


def test_who_comes_after_takes_what_waits(crew_of_two: Crew) -> None:
    """The worker dies before it has come to it; its replacement has the same row and lane."""
    crew = crew_of_two
    connection = crew.accept(0)
    ways: tuple[Lane, ...] = crew.ways
    loop: Any = Loop()
    found: list[str] = []

    def adopt(name: str, sock: socket.socket, arrived: Callable[[], None]) -> None:
        found.append(name)
        sock.close()

    Handover(loop, lambda: NOW, crew.page, 1, ways, adopt, found.append)
    loop.readers[ways[1].end.fileno()]()
    assert found == ["in"]
    assert connection.client.recv(1) == b""


@pytest.fixture
def crew_of_two() -> Iterator[Crew]:
    made = Crew(1, 0)
    with contextlib.closing(made):
        yield made
