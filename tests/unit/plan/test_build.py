"""Plans: what is compiled, what is kept from the one before, and what a swap changes."""

from __future__ import annotations

from dataclasses import replace

from meshproxy.base.addr import Address
from meshproxy.model.route import WeightedCluster
from meshproxy.model.snapshot import Parts, diff
from tests.support.models import a_cluster, a_host, a_route, inbound, outbound
from tests.support.path import DataPath


def test_a_snapshot_survives_being_cut_and_put_together() -> None:
    snapshot = outbound(clusters=[a_cluster()])
    assert Parts(diff(None, snapshot).changed).snapshot() == snapshot
    assert Parts(diff(None, inbound()).changed).snapshot() == inbound()


def test_a_diff_says_what_changed_and_what_went() -> None:
    old = outbound(clusters=[a_cluster("outbound|80|v1|shop"), a_cluster("outbound|80|v2|shop")])
    new = outbound(clusters=[a_cluster("outbound|80|v1|shop", "10.9.9.9:80")])
    change = diff(old, new)
    assert [key.name for key in change.changed] == ["outbound|80|v1|shop"]
    assert [key.name for key in change.removed] == ["outbound|80|v2|shop"]
    parts = Parts(diff(None, old).changed)
    before = parts.snapshot()
    for key in change.removed:
        parts.drop(key)
    for key, part in change.changed.items():
        parts.put(key, part)
    assert parts.snapshot() == new
    assert before == old


def test_nothing_changed_is_nothing_to_send() -> None:
    assert diff(outbound(), outbound()) == ({}, ())


def test_compiled_pieces_are_kept_by_the_object_they_came_from() -> None:
    snapshot = outbound()
    path = DataPath(snapshot)
    before = path.builder._hosts.pieces["80/shop:80"]
    cluster = path.plans.current.clusters["outbound|80|v1|shop"]
    path.configure(replace(snapshot, outbound_allow_any=False))
    assert path.builder._hosts.pieces["80/shop:80"] is before
    assert path.plans.current.clusters["outbound|80|v1|shop"] is cluster


def test_a_kept_host_sees_a_cluster_that_has_changed() -> None:
    snapshot = outbound()
    path = DataPath(snapshot)
    host = path.builder._hosts.pieces["80/shop:80"]
    new = a_cluster("outbound|80|v1|shop", "10.9.9.9:80")
    path.configure(replace(snapshot, clusters={**snapshot.clusters, new.name: new}))
    assert path.builder._hosts.pieces["80/shop:80"] is host
    client = path.connect()
    client.receive(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    assert path.dials() == ["10.9.9.9:80"]


def test_nothing_is_visible_before_the_commit() -> None:
    path = DataPath(outbound())
    changed = outbound(clusters=[a_cluster("outbound|80|v1|shop", "10.9.9.9:80")])
    steps = path.builder.steps(changed, 9)
    count = sum(1 for _ in steps)
    assert count >= 4
    client = path.connect()
    client.receive(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    assert path.dials() == ["10.0.0.1:80"]


def test_endpoints_that_no_plan_names_are_forgotten() -> None:
    path = DataPath(outbound())
    path.configure(outbound(clusters=[a_cluster("outbound|80|v1|shop", "10.9.9.9:80")]))
    path.loop.advance(1)
    assert [str(state.address) for state in path.registry] == ["10.9.9.9:80"]


def test_a_plan_that_is_overtaken_holds_nothing() -> None:
    path = DataPath(outbound())
    known = len(path.registry)
    newer = outbound(clusters=[a_cluster(), a_cluster("outbound|80|v2|shop", "10.9.9.9:80")])
    steps = path.builder.steps(newer, 2)
    while len(path.registry) == known:
        next(steps)
    steps.close()
    path.registry.sweep()
    assert len(path.registry) == known


def test_the_first_chain_to_claim_a_place_keeps_it() -> None:
    plan = DataPath(outbound()).plans.current
    listener = plan.listeners["out"]
    assert listener.chain(Address("10.1.1.1", 80)).name == "0.0.0.0_80"  # type: ignore[union-attr]
    assert listener.chain(Address("10.1.1.1", 81)).name == "rest"  # type: ignore[union-attr]
    assert plan.chain("none", Address("10.1.1.1", 80)) is None


def test_a_route_to_what_is_not_there_is_kept_and_says_so() -> None:
    host = a_host(a_route(WeightedCluster("outbound|80|v9|shop")))
    path = DataPath(outbound([host]))
    client = path.connect()
    client.receive(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    assert b"there is no outbound|80|v9|shop (NC)" in client.take()


def test_callers_are_known_by_their_address() -> None:
    from tests.support.models import a_workload

    path = DataPath(inbound(peers={"10.0.0.9": a_workload("front-v1")}))
    client = path.connect("10.0.0.1:8080", "in")
    client.receive(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    path.dialled().receive(b"HTTP/1.1 204 No Content\r\n\r\n")
    ((labels, cell),) = path.counters._http.items()
    assert labels[:2] == ("destination", "front-v1")
    assert "shop.default.svc.cluster.local" in labels
    assert cell.requests == 1
