"""State that outlives a plan, and the pool of each endpoint."""

from __future__ import annotations

from meshproxy.base.addr import ServerAddr
from meshproxy.cluster.endpoints import Registry
from meshproxy.cluster.pool import Pool
from tests.support.models import an_endpoint


class Conn:
    def __init__(self) -> None:
        self.idle_since = 0.0

    def close(self) -> None:
        pass


def test_the_next_plan_adopts_what_is_known() -> None:
    registry = Registry(10)
    (first,) = registry.adopt("c", [an_endpoint("10.0.0.1:80", 1)])
    first.active = 3
    (again,) = registry.adopt("c", [an_endpoint("10.0.0.1:80", 7)])
    assert again is first
    assert (again.active, again.weight) == (3, 7)


def test_one_address_in_two_clusters_is_two() -> None:
    registry = Registry(10)
    assert registry.adopt("a", [an_endpoint()]) != registry.adopt("b", [an_endpoint()])


def test_an_address_called_in_the_name_of_two_clients_is_two() -> None:
    """A connection made from one client's address must not carry another's request."""
    registry, app = Registry(10), ServerAddr("10.0.0.1", 80)
    one, other = registry.state("c", app, "10.9.9.1"), registry.state("c", app, "10.9.9.2")
    assert one is not other
    assert registry.state("c", app, "10.9.9.1") is one
    assert (one.source, registry.state("c", app).source) == ("10.9.9.1", "")
    registry.sweep()
    assert len(registry) == 0


def test_sweeping_waits_for_what_is_in_use() -> None:
    registry = Registry(10)
    old = registry.adopt("c", [an_endpoint()])
    assert registry.sweep() == []
    registry.release(old)
    old[0].active = 1
    assert registry.sweep() == []
    old[0].active = 0
    old[0].pool.open = 1
    assert registry.sweep() == []
    old[0].pool.open = 0
    assert registry.sweep() == list(old)
    assert len(registry) == 0


def test_passed_through_addresses_do_not_pile_up() -> None:
    registry = Registry(10)
    for number in range(100):
        registry.state("PassthroughCluster", ServerAddr(f"10.0.0.{number}", 80))
    registry.sweep()
    assert len(registry) == 0


def test_a_workload_has_one_peer() -> None:
    registry = Registry(10)
    one, two = an_endpoint().workload, an_endpoint().workload
    assert registry.peer(one) is registry.peer(two)


def test_the_pool_gives_the_connection_used_last() -> None:
    pool, first, second = Pool(10), Conn(), Conn()
    pool.put(first)
    pool.put(second)
    assert pool.take() is second
    assert pool.take() is first
    assert pool.take() is None


def test_the_pool_is_bounded_and_hands_back_the_oldest() -> None:
    pool, conns = Pool(2), [Conn() for _ in range(3)]
    assert pool.put(conns[0]) is None
    assert pool.put(conns[1]) is None
    assert pool.put(conns[2]) is conns[0]
    assert pool.idle == 2


def test_what_has_idled_too_long_is_handed_out_to_be_closed() -> None:
    pool, conns = Pool(10), [Conn() for _ in range(3)]
    for number, conn in enumerate(conns):
        conn.idle_since = float(number)
        pool.put(conn)
    assert pool.expired(1.5) == conns[:2]
    assert pool.take() is conns[2]


def test_a_closed_connection_is_forgotten() -> None:
    pool, conn = Pool(10), Conn()
    pool.put(conn)
    pool.forget(conn)
    pool.forget(conn)
    assert pool.take() is None


def test_draining() -> None:
    pool, conns = Pool(10), [Conn(), Conn()]
    for conn in conns:
        pool.put(conn)
    assert pool.drain() == conns
    assert pool.idle == 0


def test_counts_for_those_who_ask() -> None:
    registry = Registry(10)
    one = registry.state("a", ServerAddr("10.0.0.1", 80))
    from_client = registry.state("a", ServerAddr("10.0.0.1", 80), "10.9.9.9")
    registry.state("a", ServerAddr("10.0.0.2", 80))  # never used
    one.active = 5
    for code, flags in ((200, ""), (404, ""), (503, "UF"), (504, "UT")):
        one.release(code, flags)
    one.connects, one.connect_failures, one.pool.open = 3, 1, 2
    from_client.active = 1
    from_client.release(0)
    # cx: active, connect_fail, total; rq: active, error, success, timeout, total.
    assert registry.counts() == {("a", "10.0.0.1", 80): (2, 1, 3, 1, 3, 2, 1, 6)}
