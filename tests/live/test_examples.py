"""The files of `examples/` do what they say, as they stand there.

Only the service's port is another one, and the tests add what a cluster would: endpoints.
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Iterator

import pytest
import yaml

from meshproxy.demo.files import examples
from tests.support.peers import Message, Peer
from tests.support.servers import App
from tests.support.sidecar import Sidecar, config, free_port, me, plain, workload


class Example:
    """An example's one service, with an app for each of its versions."""

    def __init__(self, client: Peer, host: str) -> None:
        self._client = client
        self._host = host

    def ask(self, path: str = "/", **headers: str) -> Message:
        pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
        return self._client.ask(path, host=self._host, headers=pairs)

    def version(self, path: str = "/", **headers: str) -> str:
        return str(self.ask(path, **headers).json["app"])


@contextlib.contextmanager
def run(name: str, first: str, second: str) -> Iterator[Example]:
    text = (examples() / name / f"{name}.yaml").read_text(encoding="utf-8")
    documents = list(yaml.safe_load_all(text))
    (service,) = (each for each in documents if each["kind"] == "Service")
    port, host = free_port(), service["metadata"]["name"]
    service["spec"]["ports"][0]["port"] = port
    with App(first) as one, App(second) as two:
        added = [
            me(),
            workload("one", host, {"http": one.port}, first),
            workload("two", host, {"http": two.port}, second),
            plain([(port, "HTTP")]),
        ]
        with Sidecar(config(*documents, *added)) as proxy, Peer.connect(port) as client:
            yield Example(client, host)
            assert "warning" not in proxy.log.lower()


def _near(seen: int, count: int, share: float) -> bool:
    """Within five standard deviations: one run in a million would miss that by chance."""
    return abs(seen - count * share) < 5 * math.sqrt(count * share * (1 - share))


def test_canary() -> None:
    with run("canary", "v1", "v2") as checkout:
        count = 1000
        answers = [checkout.ask() for _ in range(count)]
        seen = Counter(str(each.json["app"]) for each in answers)
        assert sum(seen.values()) == count
        assert _near(seen["v2"], count, 0.05)
        for each in answers:
            marked = each.get("x-version") == "canary"
            assert marked == (each.json["app"] == "v2")
        assert {checkout.version(x_canary="always") for _ in range(50)} == {"v2"}
        assert "v1" in {checkout.version(x_canary="never") for _ in range(50)}


def test_vm() -> None:
    """The VM is where its WorkloadEntry says; only address and port are this machine's."""
    text = (examples() / "vm" / "vm.yaml").read_text(encoding="utf-8")
    documents = {each["kind"]: each for each in yaml.safe_load_all(text)}
    port = free_port()
    documents["Service"]["spec"]["ports"][0]["port"] = port
    with App("vm") as machine, App("pods") as pods:
        documents["WorkloadEntry"]["spec"].update(address="127.0.0.1", ports={"http": machine.port})
        added = [
            me(),
            workload("pod", "billing", {"http": pods.port}, "pods"),
            plain([(port, "HTTP")]),
        ]
        with Sidecar(config(*documents.values(), *added)) as proxy, Peer.connect(port) as client:
            billing = Example(client, "billing")
            assert {billing.version("/invoices/7") for _ in range(50)} == {"vm"}
            count = 500
            seen = Counter(billing.version("/") for _ in range(count))
            assert _near(seen["pods"], count, 0.2)
            assert seen["vm"] == count - seen["pods"]
            assert "warning" not in proxy.log.lower()


@pytest.fixture(scope="module")
def reviews() -> Iterator[Example]:
    with run("header-routing", "v1", "v2") as example:
        yield example


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({}, "v1"),
        ({"end_user": "jason"}, "v2"),
        ({"end_user": "Jason"}, "v1"),
        ({"end_user": "ann@test.example"}, "v2"),
        ({"end_user": "ann@test.example", "x_production": ""}, "v1"),
        ({"end_user": "ann@testexample"}, "v1"),
        ({"end_user": "jason", "x_production": "1"}, "v2"),
    ],
)
def test_header_routing(reviews: Example, headers: dict[str, str], version: str) -> None:
    assert reviews.version(**headers) == version


def test_header_routing_rewrites_and_redirects(reviews: Example) -> None:
    phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)"
    assert reviews.ask("/reviews/1?full", user_agent=phone).seen.target == "/mobile/1?full"
    assert reviews.ask("/reviews/1?full", user_agent="curl").seen.target == "/reviews/1?full"
    moved = reviews.ask("/API/v1/books?page=2")
    assert (moved.status, moved.get("location")) == (308, "http://reviews/api/v2/books?page=2")


def test_ab_test() -> None:
    with run("ab-test", "a", "b") as landing:
        count = 600
        seen = Counter()
        for _ in range(count):
            answer = landing.ask()
            group = str(answer.json["app"])
            assert answer.get("set-cookie") == f"group={group}; Path=/; Max-Age=2592000"
            seen[group] += 1
        assert sum(seen.values()) == count
        assert _near(seen["b"], count, 0.5)
        for group in "ab":
            for cookie in (f"group={group}", f"x=1; group={group}", f"group={group}; y=2"):
                answers = [landing.ask(cookie=cookie) for _ in range(10)]
                assert {each.json["app"] for each in answers} == {group}
                assert {each.get("set-cookie") for each in answers} == {None}
        assert {landing.version("/?group=b", cookie="group=a") for _ in range(10)} == {"b"}
