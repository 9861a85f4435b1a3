"""Supervisor, zygote and workers: whoever dies or hangs is replaced or leaves nothing behind."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.peers import Ended, Peer, ask, request, wait_until
from tests.support.servers import App
from tests.support.sidecar import (
    Sidecar,
    config,
    free_port,
    me,
    plain,
    pss,
    service,
    settings,
    workload,
)


@dataclass(frozen=True)
class Place:
    proxy: Sidecar
    app: App
    port: int

    def restarts(self, reason: str) -> float:
        metrics = self.proxy.metrics()
        return metrics.value("meshproxy_worker_restarts_total", reason=reason)

    def wait_for_replacement(self, gone: int) -> None:
        def replaced() -> bool:
            found = self.proxy.workers()
            return (
                gone not in found
                and len(found) == self.proxy.workers_wanted
                and self.proxy.metrics().value("meshproxy_workers") == len(found)
            )

        wait_until(replaced, "another worker", patience=15)


def text(app: App, port: int, **values: object) -> str:
    return config(
        me(),
        service("app", port),
        workload("app-1", "app", {"http": app.port}),
        plain([(port, "HTTP")]),
        settings(accessLogFlush="20ms", **values),
    )


EITHER = pytest.mark.parametrize("place", [1, 2], indirect=True, ids=["1-worker", "2-workers"])


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    port = free_port()
    with App() as app, Sidecar(text(app, port), workers=getattr(request, "param", 2)) as proxy:
        yield Place(proxy, app, port)


def worker_of(proxy: Sidecar, client: Peer) -> int:
    """Which worker holds a client's connection."""
    own = client.own_name[1]
    for pid in proxy.workers():
        inodes = set()
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(os.readlink(fd))
            except OSError:
                continue
        for line in Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
            words = line.split()
            if words[2].endswith(f":{own:04X}") and f"socket:[{words[9]}]" in inodes:
                return pid
    raise AssertionError("nobody has it")


@EITHER
def test_there_are_as_many_workers_as_asked_for(place: Place) -> None:
    """A supervisor, a zygote and the workers."""
    assert len(place.proxy.workers()) == place.proxy.workers_wanted
    assert len(place.proxy.family()) == place.proxy.workers_wanted + 2


def test_both_workers_take_connections() -> None:
    port = free_port()
    with App() as app, Sidecar(text(app, port), workers=2) as proxy:
        with_each = set()
        for _ in range(60):
            with Peer.connect(port) as client:
                client.ask()
                with_each.add(worker_of(proxy, client))
        assert len(with_each) == 2


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("settled", [True, False], ids=["one-by-one", "at-once"])
def test_a_few_long_connections_are_shared_evenly(workers: int, settled: bool) -> None:
    """Whoever happens to accept them. Of those that come at once some may be placed by what was
    true a moment ago, but nobody is left with a few while another has most."""
    port = free_port()
    with App() as app, Sidecar(text(app, port), workers=workers) as proxy:
        clients = []
        for _ in range(4 * workers):
            clients.append(Peer.connect(port))
            if settled:
                assert clients[-1].ask().status == 200
        try:
            for client in clients:
                assert client.ask().status == 200
            homes = Counter(worker_of(proxy, client) for client in clients)
            assert len(homes) == workers
            assert max(homes.values()) - min(homes.values()) <= (0 if settled else workers), homes
        finally:
            for client in clients:
                client.close()


@EITHER
def test_a_worker_that_dies_is_replaced(place: Place) -> None:
    victim = place.proxy.workers()[0]
    os.kill(victim, signal.SIGKILL)
    # What is asked for meanwhile waits for whoever comes next.
    assert ask(place.port).status == 200
    place.wait_for_replacement(victim)
    assert place.restarts("died") == 1
    assert f"worker {victim} ended (signal 9)" in place.proxy.log
    for _ in range(10):
        assert ask(place.port).status == 200


def test_a_worker_that_dies_takes_only_its_own_along() -> None:
    port = free_port()
    with App() as app, Sidecar(text(app, port), workers=2) as proxy:
        clients = [Peer.connect(port) for _ in range(20)]
        try:
            homes = {}
            for client in clients:
                assert client.ask().status == 200
                homes[client] = worker_of(proxy, client)
            victim = proxy.workers()[0]
            os.kill(victim, signal.SIGKILL)
            for client, home in homes.items():
                if home == victim:
                    with pytest.raises((Ended, ConnectionError)):
                        client.ask()
                else:
                    assert client.ask().status == 200
        finally:
            for client in clients:
                client.close()


def test_what_a_dead_worker_held_is_given_back() -> None:
    """Connections count over all workers; those of a dead one count no more."""
    port, most = free_port(), 6
    with App() as app, Sidecar(text(app, port, maxConnections=most), workers=2) as proxy:
        clients = [Peer.connect(port) for _ in range(most)]
        try:
            for client in clients:
                assert client.ask().status == 200
            for pid in proxy.workers():
                os.kill(pid, signal.SIGKILL)

            def admits() -> bool:
                try:
                    clients.append(Peer.connect(port))
                    return clients[-1].ask().status == 200
                except (Ended, OSError):
                    return False

            wait_until(admits, "room to be given back")
            wait_until(lambda: proxy.metrics().value("meshproxy_workers") == 2, "both workers")
            admitted = 1
            while admits():
                admitted += 1
            assert admitted <= most
            assert admitted >= most - 1, "a probe may have died with a worker"
        finally:
            for client in clients:
                client.close()


def test_a_worker_that_hangs_is_replaced() -> None:
    port = free_port()
    with App() as app, Sidecar(text(app, port, workerTimeout="2s"), workers=2) as proxy:
        place = Place(proxy, app, port)
        victim = proxy.workers()[0]
        os.kill(victim, signal.SIGSTOP)
        place.wait_for_replacement(victim)
        assert place.restarts("hung") == 1
        assert place.restarts("died") == 0
        assert f"worker {victim} has not run for 2 s" in proxy.log
        for _ in range(20):
            assert ask(port).status == 200


def test_a_scrape_does_not_wait_for_a_worker_that_hangs() -> None:
    port = free_port()
    with App() as app, Sidecar(text(app, port), workers=2) as proxy:
        victim = proxy.workers()[0]
        for _ in range(10):
            assert ask(port).status == 200
        before = proxy.metrics().value("istio_requests_total")
        os.kill(victim, signal.SIGSTOP)
        try:
            assert proxy.metrics().value("istio_requests_total") == before
        finally:
            os.kill(victim, signal.SIGCONT)


def test_a_worker_that_dies_again_and_again_is_started_more_slowly() -> None:
    """Not in a tight loop; and it still comes back."""
    port = free_port()
    with App() as app, Sidecar(text(app, port)) as proxy:
        place = Place(proxy, app, port)
        for _ in range(4):
            victim = proxy.workers()[0]
            os.kill(victim, signal.SIGKILL)
            place.wait_for_replacement(victim)
        assert place.restarts("died") == 4
        assert ask(port).status == 200


@EITHER
def test_traffic_goes_on_while_workers_die(place: Place) -> None:
    """Requests on fresh connections: only those in flight in a dying worker may fail."""
    failures: list[BaseException] = []
    done = threading.Event()
    asked = [0]

    def run() -> None:
        while not done.is_set():
            try:
                assert ask(place.port).status == 200
                asked[0] += 1
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        before = asked[0]
        wait_until(lambda at=before: asked[0] > at + 20, "traffic")
        victim = place.proxy.workers()[0]
        os.kill(victim, signal.SIGKILL)
        place.wait_for_replacement(victim)
    done.set()
    for thread in threads:
        thread.join()
    assert len(failures) <= 9, "three clients, three deaths"
    assert all(isinstance(each, Ended | ConnectionError) for each in failures), failures


@EITHER
def test_without_its_supervisor_nothing_is_left(place: Place) -> None:
    """No worker goes on by a configuration that nobody can change any more."""
    with Peer.connect(place.port) as client:
        assert client.ask().status == 200
        os.kill(place.proxy.pid, signal.SIGKILL)
        place.proxy.wait()
        wait_until(lambda: not place.proxy.family(), lambda: f"{place.proxy.family()} to end")


def test_without_its_supervisor_not_even_with_work_in_flight(place: Place) -> None:
    with Peer.connect(place.port) as client:
        client.send(request(path="/never"))
        wait_until(lambda: place.app.count("/never"), "the request to reach the app")
        os.kill(place.proxy.pid, signal.SIGKILL)
        place.proxy.wait()
        wait_until(lambda: not place.proxy.family(), lambda: f"{place.proxy.family()} to end")


def test_without_its_zygote_it_ends() -> None:
    """To be started anew by whoever started it, since workers could not be replaced any more."""
    port = free_port()
    with App() as app, Sidecar(text(app, port), workers=2) as proxy:
        zygote = next(
            pid for pid in proxy.family() if pid != proxy.pid and pid not in proxy.workers()
        )
        os.kill(zygote, signal.SIGKILL)
        assert proxy.wait() == 1
        wait_until(lambda: not proxy.family(), lambda: f"{proxy.family()} to end")
        assert "Traceback" not in proxy.log


def test_memory_is_within_its_budget(place: Place) -> None:
    """A worker under 41 MiB, everything together under 60 MiB, after some traffic."""
    with Peer.connect(place.port) as client:
        for _ in range(200):
            client.ask()
    place.proxy.metrics()
    workers = place.proxy.pss()
    assert max(workers.values()) < 41 << 10
    assert sum(pss(pid) for pid in place.proxy.family()) < 60 << 10


def test_signals_of_a_terminal_reach_everyone_and_harm_nobody(place: Place) -> None:
    """Ctrl-C goes to the whole group: workers must leave its meaning to the supervisor."""
    with Peer.connect(place.port) as client:
        place.app.released.clear()
        client.send(request(path="/hold"))
        wait_until(lambda: place.app.count("/hold"), "the request to reach the app")
        os.killpg(place.proxy.pid, signal.SIGINT)
        place.proxy.wait_for_log("draining")
        place.app.released.set()
        assert client.answer().text == "released app"
    assert place.proxy.wait() == 0
