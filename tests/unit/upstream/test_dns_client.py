"""Lookups of real servers on loopback: by which file, which server, which way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meshproxy.base.addr import ServerAddr
from meshproxy.upstream.dns_client import DnsClient
from meshproxy.upstream.resolve import Fault, Found, Outcome
from tests.support.dns_server import DnsServer

Look = Callable[..., list[Outcome]]


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer({"db.example": ["10.0.0.1", "10.0.0.2"]}, ttl=7) as server:
        yield server


@pytest.fixture
def look(tmp_path: Path, dns: DnsServer) -> Look:
    """Looks names up one after the other, with files of its own."""

    def run(
        *names: str, conf: str = "", hosts: str = "", more: tuple[int, ...] = ()
    ) -> list[Outcome]:
        (tmp_path / "resolv.conf").write_text(conf)
        (tmp_path / "hosts").write_text(hosts)

        async def work() -> list[Outcome]:
            client = DnsClient(
                asyncio.get_running_loop(),
                tuple(ServerAddr("127.0.0.1", port) for port in (*more, dns.port)),
                str(tmp_path / "resolv.conf"),
                str(tmp_path / "hosts"),
            )
            return [await client.lookup(name) for name in names]

        return asyncio.run(work())

    return run


def test_addresses_and_time_to_live(look: Look, dns: DnsServer) -> None:
    assert look("db.example") == [Found(("10.0.0.1", "10.0.0.2"), 7.0)]
    assert dns.asked == ["db.example"]


def test_a_long_answer_comes_by_tcp(look: Look, dns: DnsServer) -> None:
    dns.names["big.example"] = [f"10.0.{at // 250}.{at % 250}" for at in range(1000)]
    (found,) = look("big.example")
    assert isinstance(found, Found)
    assert len(found.addresses) == 1000
    assert dns.by_tcp == 1


def test_ipv6_where_there_is_nothing_else(look: Look, dns: DnsServer) -> None:
    dns.names["six.example"] = ["fd00::1"]
    dns.names["both.example"] = ["fd00::1", "10.0.0.9"]
    six, both = look("six.example", "both.example")
    assert six == Found(("fd00::1",), 7.0)
    assert isinstance(both, Found)
    assert len(both.addresses) == 1


def test_nobody_of_that_name(look: Look, dns: DnsServer) -> None:
    dns.names["empty.example"] = []
    assert look("nobody.example", "empty.example") == [Fault("no such name", denied=True)] * 2
    assert look("a..b")[0].denied  # type: ignore[union-attr]


def test_the_hosts_file_comes_first(look: Look, dns: DnsServer) -> None:
    found = look("DB.example", hosts="10.9.9.9 db.example\n")
    assert found == [Found(("10.9.9.9",), None)]
    assert not dns.asked


def test_search_domains_and_what_had_an_answer_is_asked_first(look: Look, dns: DnsServer) -> None:
    dns.names["db.prod.local"] = ["10.1.1.1"]
    conf = "search dev.local prod.local\noptions ndots:5"
    first, second = look("db", "db", conf=conf)
    assert first == second == Found(("10.1.1.1",), 7.0)
    assert dns.asked == ["db.dev.local", "db.prod.local", "db.prod.local"]


def test_a_server_that_fails_is_said(look: Look, dns: DnsServer) -> None:
    dns.code = 2
    (found,) = look("db.example")
    assert isinstance(found, Fault)
    assert found == Fault(f"127.0.0.1:{dns.port} says SERVFAIL")
    assert dns.asked == ["db.example"] * 2  # attempts


def test_the_next_server_is_asked(look: Look, dns: DnsServer) -> None:
    with DnsServer() as broken:
        broken.code = 5
        assert look("db.example", more=(broken.port,)) == [Found(("10.0.0.1", "10.0.0.2"), 7.0)]
        broken.code, broken.silent = 0, True
        conf = "options timeout:1"
        assert look("db.example", conf=conf, more=(broken.port,))[0] == Found(
            ("10.0.0.1", "10.0.0.2"), 7.0
        )


def test_a_server_that_is_not_there_ends_the_search(look: Look, dns: DnsServer) -> None:
    port = dns.port
    dns.__exit__(None, None, None)
    (found,) = look("db", conf="search a.b c.d\noptions attempts:1")
    assert isinstance(found, Fault)
    assert not found.denied
    assert found.reason.startswith(f"no answer from 127.0.0.1:{port}")


def test_changed_files_are_read_again(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("10.0.0.1 db\n")

    async def work() -> list[Outcome]:
        client = DnsClient(asyncio.get_running_loop(), (), str(tmp_path / "none"), str(hosts))
        found = [await client.lookup("db")]
        hosts.write_text("10.0.0.22 db\n")
        return [*found, await client.lookup("db")]

    assert asyncio.run(work()) == [Found(("10.0.0.1",)), Found(("10.0.0.22",))]


def test_what_is_on_its_way_can_be_given_up(dns: DnsServer) -> None:
    dns.silent = True

    async def work() -> list[Outcome]:
        found: list[Outcome] = []
        client = DnsClient(asyncio.get_running_loop(), (ServerAddr("127.0.0.1", dns.port),))
        client.ask("db.example", found.append)
        await asyncio.sleep(0)
        await client.close()
        return found

    assert asyncio.run(work()) == []
