"""Upstreams by name: answers that come late, change, or come no more."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.support.dns_server import DnsServer
from tests.support.peers import Message, Peer, ask, wait_until
from tests.support.servers import App, Server, echo_bytes
from tests.support.sidecar import (
    Sidecar,
    config,
    free_port,
    istio,
    me,
    mesh_config,
    plain,
    route_to,
    service,
    settings,
    subsets,
    virtual_service,
    workload,
)

OTHER = "127.0.0.2"
API = "api.example.com"


def service_entry(
    host: str, port: int, protocol: str = "HTTP", **spec: object
) -> dict[str, object]:
    ports = [{"number": port, "name": "p", "protocol": protocol, **spec.pop("more", {})}]  # type: ignore[dict-item]
    facts = {"hosts": [host], "ports": ports, "resolution": "DNS", **spec}
    return istio("ServiceEntry", host.replace("*", "any"), facts)


@dataclass(frozen=True)
class Place:
    """``one`` and ``two`` are apps on the same port of two addresses."""

    one: App
    two: App
    dns: DnsServer
    port: int
    proxy: Sidecar

    def ask(self, host: str = API) -> Message:
        return ask(self.port, host=host)

    def app(self, host: str = API) -> str:
        return str(self.ask(host).json["app"])


@pytest.fixture
def place() -> Iterator[Place]:
    port = free_port()
    with ExitStack() as stack:
        one = stack.enter_context(App("one"))
        two = stack.enter_context(App("two", OTHER, one.port))
        dns = stack.enter_context(DnsServer({API: ["127.0.0.1"]}, ttl=1))
        target = {"targetPort": one.port}
        text = config(
            me(),
            mesh_config(outboundTrafficPolicy={"mode": "REGISTRY_ONLY"}),
            service_entry(API, port, more=target),
            service_entry("nobody.example", port, more=target),
            service("vm", port),
            workload("vm-1", "vm", {"http": one.port}, address="vm.internal"),
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "alias", "namespace": "default"},
                "spec": {
                    "type": "ExternalName",
                    "externalName": API,
                    "ports": [{"name": "http", "port": port}],
                },
            },
            plain([(port, "HTTP")]),
            settings(dnsServers=dns.address, accessLogFlush="20ms"),
        )
        proxy = stack.enter_context(Sidecar(text))
        yield Place(one, two, dns, port, proxy)


def test_a_changed_answer_takes_effect(place: Place) -> None:
    assert place.app() == "one"
    place.dns.names[API] = [OTHER]
    wait_until(lambda: place.app() == "two", "the other address to be used")


def test_old_addresses_stay_while_the_server_fails(place: Place) -> None:
    assert place.app() == "one"
    place.dns.code = 2
    place.proxy.wait_for_log(f"{API} can't be resolved: {place.dns.address} says SERVFAIL")
    assert place.app() == "one"
    place.dns.code = 0
    place.dns.names[API] = [OTHER]
    wait_until(lambda: place.app() == "two", "the other address to be used")


def test_who_comes_before_the_first_answer_waits_for_it(place: Place) -> None:
    place.dns.go_on.clear()
    text = place.proxy.config.read_text(encoding="utf-8")
    place.dns.names["late.example"] = ["127.0.0.1"]
    late = service_entry("late.example", place.port, more={"targetPort": place.one.port})
    place.proxy.write(text + "---\n" + config(late))
    found: list[Message] = []

    def call() -> bool:
        """Until the worker has the new configuration its host is unknown, and answered 502."""
        answer = place.ask("late.example")
        if answer.status != 502:
            found.append(answer)
        return bool(found)

    asking = threading.Thread(target=lambda: wait_until(call, "an answer"))
    asking.start()
    wait_until(lambda: "late.example" in place.dns.waiting, "its name to be looked up")
    assert place.app() == "one", "others are not held up"
    assert not found
    place.dns.go_on.set()
    asking.join(10)
    assert [answer.status for answer in found] == [200]


def test_a_name_that_nobody_knows_is_said(place: Place) -> None:
    place.proxy.wait_for_log("nobody.example can't be resolved: no such name")
    answer = place.ask("nobody.example")
    assert answer.status == 503
    assert "nobody.example: no such name (DF)" in answer.text
    assert " 503 DF dns_resolution_failure " in place.proxy.access("nobody.example")


def test_what_is_not_listed_is_refused(place: Place) -> None:
    assert place.ask("else.example.com").status == 502


def test_metrics_name_the_host(place: Place) -> None:
    place.app()
    assert (
        place.proxy.metrics().value(
            "istio_requests_total",
            destination_service=API,
            destination_service_name=API,
            destination_service_namespace="default",
            destination_workload="unknown",
            response_code="200",
        )
        == 1
    )
    wait_until(
        lambda: place.proxy.metrics().value("meshproxy_dns_lookups_total", result="found"),
        "lookups to be counted",
    )


def test_what_runs_can_be_seen(place: Place) -> None:
    place.app()
    cluster = f"outbound|{place.port}||{API}"
    text = place.proxy.get(place.proxy.admin, "/clusters").text
    assert f"{cluster}::127.0.0.1:{place.one.port}::rq_total::1\n" in text
    assert f"{cluster}::127.0.0.1:{place.one.port}::hostname::{API}\n" in text
    dump = str(place.proxy.config_dump())
    assert "STRICT_DNS" in dump
    assert f"'address': '{API}'" in dump


def test_an_external_name_and_a_workload_entry_are_resolved(place: Place) -> None:
    assert place.app("alias") == "one"
    place.dns.names["vm.internal"] = [OTHER]
    wait_until(lambda: place.ask("vm").status == 200, "the workload's name to be known")
    assert place.app("vm") == "two"


def test_a_worker_that_is_replaced_knows_the_names(place: Place) -> None:
    assert place.app() == "one"
    place.dns.silent = True
    (old,) = place.proxy.workers()
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: place.proxy.workers() not in ([], [old]), "another worker")
    assert place.app() == "one"


def test_tcp_by_name_and_subsets_of_endpoints_by_name() -> None:
    port, tcp_port = free_port(), free_port()
    names = {"a.x": ["127.0.0.1"], "b.x": [OTHER], "echo.x": ["127.0.0.1"]}

    with ExitStack() as stack:
        one = stack.enter_context(App("one"))
        stack.enter_context(App("two", OTHER, one.port))
        server = stack.enter_context(Server(echo_bytes))
        dns = stack.enter_context(DnsServer(names))
        endpoints = [
            {"address": name, "ports": {"p": one.port}, "labels": {"version": version}}
            for name, version in (("a.x", "v1"), ("b.x", "v2"))
        ]
        text = config(
            me(),
            service_entry(API, port, endpoints=endpoints),
            service_entry("echo.x", tcp_port, "TCP", more={"targetPort": server.port}),
            subsets(API, "v1", "v2"),
            virtual_service(
                API,
                {
                    "match": [{"uri": {"prefix": "/two"}}],
                    "rewrite": {"uri": "/"},
                    "route": [route_to(API, subset="v2")],
                },
                {"route": [route_to(API, subset="v1")]},
            ),
            plain([(port, "HTTP"), (tcp_port, "TCP")]),
            settings(dnsServers=dns.address),
        )
        with Sidecar(text):
            for _ in range(4):
                assert ask(port, "/", host=API).json["app"] == "one"
                assert ask(port, "/two", host=API).json["app"] == "two"
            with Peer.connect(tcp_port) as client:
                client.send("hello")
                client.end()
                assert client.rest() == b"hello"
