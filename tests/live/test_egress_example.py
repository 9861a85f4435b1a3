"""`examples/egress-allow-list/`: what is listed may be called, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from meshproxy.demo.files import examples, yaml_texts
from tests.support.dns_server import DnsServer
from tests.support.peers import Message, ask
from tests.support.servers import App
from tests.support.sidecar import Sidecar, config, free_port, istio, plain, settings
from tests.unit.translate.support import Call, follow, snapshot_of, translated

TEXTS = list(yaml_texts(examples() / "egress-allow-list").values())
SHOP = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: me, namespace: shop}
spec: {address: 10.0.0.1}
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The example as it stands, but for the port that is called and the one that answers."""
    number = free_port()
    with App("api") as app, DnsServer({"api.example.com": ["127.0.0.1"]}) as dns:
        texts = [
            text.replace("number: 80,", f"number: {number}, targetPort: {app.port},")
            for text in TEXTS
        ]
        mine = [plain([(number, "HTTP")]), settings(dnsServers=dns.address)]
        for each in mine:
            each["metadata"]["namespace"] = "shop"
        me = istio("WorkloadEntry", "me", {"address": "127.0.0.1"}, namespace="shop")
        with Sidecar(config(*texts, *mine, me), arguments=["--workload", "shop/me"]):
            yield number


def test_what_is_listed_is_called(port: int) -> None:
    assert ask(port, host="api.example.com").json["app"] == "api"


def test_rules_hold_for_it(port: int) -> None:
    answer: Message = ask(port, "/", "DELETE", "api.example.com")
    assert (answer.status, answer.text) == (405, "nothing is deleted outside")


def test_all_else_is_refused(port: int) -> None:
    answer = ask(port, host="evil.example.com")
    assert answer.status == 502
    assert "REGISTRY_ONLY" in answer.text


@pytest.mark.parametrize(
    ("call", "cluster"),
    [
        (Call(80, host="api.example.com"), "outbound|80||api.example.com"),
        (Call(80, host="a.partner.example"), "outbound|80||*.partner.example"),
        (Call(80, host="partner.example"), "block_all"),
        (Call(5432, "192.0.2.7", http=False), "outbound|5432||db.example.com"),
        (Call(5432, "192.0.2.77", http=False), "BlackHoleCluster"),
        (Call(443, http=False, sni="api.example.com"), "outbound|443||api.example.com"),
        (Call(443, http=False, sni="evil.example.com"), "BlackHoleCluster"),
        (Call(443, http=False), "BlackHoleCluster"),
        (Call(22, "192.0.2.7", http=False), "BlackHoleCluster"),
    ],
)
def test_where_redirected_connections_go(call: Call, cluster: str) -> None:
    snapshot = snapshot_of(*TEXTS, SHOP, me="shop/me")
    assert follow(snapshot, "virtualOutbound", call).cluster == cluster


def test_the_example_is_understood_without_a_word() -> None:
    assert not translated(*TEXTS, SHOP, me="shop/me").problems
