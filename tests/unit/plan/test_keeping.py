"""A builder that keeps what has not changed makes the plan that one would that has just begun."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from meshproxy.base.addr import Address
from meshproxy.base.lookup import HostTable
from meshproxy.model.route import DirectResponse
from meshproxy.model.snapshot import Parts, Snapshot, diff
from meshproxy.plan.plan import HostPlan
from tests.support.models import a_cluster, a_host, a_route, a_workload, inbound, outbound
from tests.support.path import DataPath

DOMAINS = ("a", "b", "c", "*.d", "x.d", "*")


class Worker:
    """A data path that is told parts, as workers are."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._parts = Parts(diff(None, snapshot).changed)
        self._known = snapshot
        self.path = DataPath(self._parts.snapshot())

    def told(self, snapshot: Snapshot) -> Snapshot:
        """What the worker makes of the difference."""
        change = diff(self._known, snapshot)
        self._known = snapshot
        for key in change.removed:
            self._parts.drop(key)
        for key, part in change.changed.items():
            self._parts.put(key, part)
        return self._parts.snapshot()

    def configure(self, snapshot: Snapshot) -> None:
        self.path.configure(self.told(snapshot))


def table_of(path: DataPath) -> HostTable[HostPlan]:
    chain = path.plans.current.chain("out", Address("10.1.1.1", 80))
    assert chain is not None
    assert chain.hosts is not None
    return chain.hosts


def answer(path: DataPath, host: str) -> bytes:
    """The status that a caller gets, or where the call is sent."""
    client = path.connect()
    client.receive(b"GET / HTTP/1.1\r\nHost: " + host.encode() + b"\r\nConnection: close\r\n\r\n")
    dialled = ",".join(path.dials()).encode()
    path.loop.dials.clear()
    return dialled or client.take()[9:12]


def direct(status: int, *domains: str) -> object:
    return a_host(a_route(action=DirectResponse(status)), domains=domains or ("shop",))


def mesh(*hosts: object, **more: object) -> Snapshot:
    return outbound(hosts, **more)  # type: ignore[arg-type]


def test_a_table_stays_while_nobody_is_called_otherwise() -> None:
    worker = Worker(mesh(direct(200), direct(201, "till")))
    table = table_of(worker.path)
    for status in (202, 203, 202):
        worker.configure(mesh(direct(status), direct(201, "till")))
        assert table_of(worker.path) is table
        assert answer(worker.path, "shop") == str(status).encode()
        assert answer(worker.path, "till") == b"201"


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(mesh(direct(200, "shop", "store"), direct(201, "till")), id="one more name"),
        pytest.param(mesh(direct(200)), id="a host is gone"),
        pytest.param(mesh(direct(200), direct(201, "till"), direct(202, "bin")), id="one more"),
        pytest.param(mesh(direct(201, "till"), direct(200)), id="another order"),
    ],
)
def test_a_table_is_made_anew_where_names_change(after: Snapshot) -> None:
    worker = Worker(mesh(direct(200), direct(201, "till")))
    table = table_of(worker.path)
    worker.configure(after)
    assert table_of(worker.path) is not table
    for host in ("shop", "store", "till", "bin"):
        assert answer(worker.path, host) == answer(DataPath(after), host)


def test_a_table_that_remembers_another_number_is_made_anew() -> None:
    snapshot = mesh(direct(200))
    worker = Worker(snapshot)
    table = table_of(worker.path)
    settings = replace(snapshot.settings, max_hosts_remembered=7)
    worker.configure(replace(snapshot, settings=settings))
    assert table_of(worker.path) is not table


def test_routes_of_a_plan_that_is_overtaken_are_never_taken() -> None:
    worker = Worker(mesh(direct(200)))
    steps = worker.path.builder.steps(worker.told(mesh(direct(500))), 2)
    for _ in range(100):  # as far as it goes without an end
        if next(steps, "end") == "end":
            break
    assert answer(worker.path, "shop") == b"200"
    worker.configure(mesh(direct(202)))
    assert answer(worker.path, "shop") == b"202"


def test_who_calls_is_known_as_they_come_and_go() -> None:
    first = {"10.0.0.8": a_workload("one-v1"), "10.0.0.9": a_workload("two-v1")}
    worker = Worker(inbound(peers=first))
    second = {"10.0.0.9": a_workload("three-v1"), "10.0.0.7": a_workload("one-v1")}
    for peers in (second, first, {}):
        worker.configure(inbound(peers=peers))
        chain = worker.path.plans.current.chain("in", Address("10.0.0.1", 8080))
        assert chain is not None
        found = {ip: peer.workload for ip, peer in chain.peer_of.items()}
        assert found == peers


@pytest.mark.parametrize("seed", range(30))
def test_change_after_change(seed: int) -> None:
    rng = random.Random(seed)

    def some() -> Snapshot:
        domains = rng.sample(DOMAINS, rng.randint(1, len(DOMAINS)))
        hosts = []
        while domains:
            names = tuple(domains.pop() for _ in range(min(len(domains), rng.randint(1, 2))))
            if rng.random() < 0.5:
                hosts.append(direct(rng.randint(200, 203), *sorted(names)))
            else:
                cluster = f"outbound|80|v{rng.randint(1, 3)}|shop"
                hosts.append(a_host(a_route(cluster), domains=tuple(sorted(names))))
        clusters = [
            a_cluster(f"outbound|80|v{n}|shop", f"10.0.{n}.{rng.randint(1, 2)}:80")
            for n in range(1, 4)
            if rng.random() < 0.7
        ]
        return mesh(*hosts, clusters=clusters)

    worker = Worker(some())
    for _ in range(25):
        snapshot = some()
        if rng.random() < 0.3:  # overtaken somewhere on the way
            steps = worker.path.builder.steps(worker.told(some()), 1)
            for _ in range(rng.randint(1, 8)):
                next(steps, None)
            steps.close()
        worker.configure(snapshot)
        fresh = DataPath(snapshot)
        for host in ("a", "b", "c", "y.d", "x.d", "nobody"):
            assert answer(worker.path, host) == answer(fresh, host), host
