"""AuthorizationPolicies in a real sidecar: who gets through, and what is told of the others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.http2 import Http2Client
from tests.support.peers import Ended, Peer, ask, wait_until
from tests.support.servers import App
from tests.support.sidecar import (
    CODECS,
    Sidecar,
    config,
    free_port,
    istio,
    me,
    mesh_config,
    plain,
    service,
    settings,
    workload,
)

DENIED = "meshproxy_authorization_denied_total"
SHADOW = "meshproxy_authorization_shadow_total"


@dataclass(frozen=True)
class Place:
    """An app behind ingress ports: for HTTP, for TCP, and for whatever comes."""

    proxy: Sidecar
    app: App
    http: int
    tcp: int
    any: int
    text: str


@contextmanager
def guarded(*policies: Mapping[str, Any], codec: str = "fast") -> Iterator[Place]:
    http, tcp, any_ = free_port(), free_port(), free_port()
    with App() as app:
        text = config(
            me(),
            service("app", free_port()),
            workload("app-1", "app", {"http": app.port}),
            plain(
                [],
                [(http, "HTTP", app.port), (tcp, "TCP", app.port), (any_, "", app.port)],
            ),
            settings(accessLogFlush="20ms"),
        )
        with Sidecar(config(text, *policies), codec=codec) as proxy:
            yield Place(proxy, app, http, tcp, any_, text)


def policy(name: str = "p", **spec: Any) -> dict[str, Any]:
    annotations = spec.pop("annotations", {})
    return istio("AuthorizationPolicy", name, spec, annotations=annotations)


def to(**operation: Any) -> dict[str, Any]:
    return {"to": [{"operation": operation}]}


def source(**source: Any) -> dict[str, Any]:
    return {"from": [{"source": source}]}


@pytest.mark.parametrize("codec", CODECS)
def test_deny_by_path(codec: str) -> None:
    with guarded(policy(action="DENY", rules=[to(paths=["/admin*"])]), codec=codec) as place:
        assert ask(place.http, "/other").status == 200
        answer = ask(place.http, "/admin/x")
        assert (answer.status, answer.text) == (403, "RBAC: access denied")
        assert answer.get("content-length") == "19"
        line = place.proxy.access("/admin/x")
        name = "ns[default]-policy[p]-rule[0]"
        assert f" 403 - rbac_access_denied_matched_policy[{name}] " in line
        assert "AuthorizationPolicy default/p rule 0 denies by paths" in line
        metrics = place.proxy.metrics()
        labels = {"policy": "default/p", "rule": "0", "protocol": "http"}
        assert metrics.value(DENIED, **labels) == 1
        assert place.app.count("/admin/x") == 0


def test_allow_by_method_and_address() -> None:
    rules = [{**to(methods=["GET"]), **source(ipBlocks=["127.0.0.0/8"])}]
    with guarded(policy(rules=rules)) as place:
        assert ask(place.http).status == 200
        assert ask(place.http, "/post", method="POST").status == 403
        line = place.proxy.access("/post")
        assert " rbac_access_denied_matched_policy[none] " in line
        assert "nearest is AuthorizationPolicy default/p rule 0: methods: 'POST'" in line
        assert place.proxy.metrics().value(DENIED, policy="", rule="none", protocol="http") == 1


@pytest.mark.parametrize(
    "path",
    [
        *("/admin/x", "/a/../admin/x", "/a/%2e%2e/admin/x", "/x/..\\admin/x", "/%61dmin/x"),
        *("/./admin/x", "/a/..;/admin/x", "/a/..;b=c/admin/x?d"),
    ],
)
def test_no_spelling_of_a_path_gets_around(path: str) -> None:
    with guarded(policy(action="DENY", rules=[to(paths=["/admin/x"])])) as place:
        assert ask(place.http, path).status == 403
        assert place.app.requests == []


def test_the_app_is_asked_for_the_path_that_was_judged() -> None:
    with guarded(policy(rules=[to(paths=["/b%2fc"])])) as place:
        answer = ask(place.http, "/a/../b%2fc?x=/../%41")
        assert answer.status == 200
        assert answer.json["line"].split()[1] == "/b%2fc?x=/../%41"
        assert "/b%2fc?x=/../%41" in place.proxy.access("/b%2fc")


@pytest.mark.parametrize(
    ("kind", "asked", "seen"),
    [
        ("NONE", "/a/..//b%2f", "/a/..//b%2f"),
        ("BASE", "/a/..//b%2f", "//b%2f"),
        ("MERGE_SLASHES", "/a/..//b%2f", "/b%2f"),
        ("DECODE_AND_MERGE_SLASHES", "/a/..//b%2f", "/b/"),
        ("DEFAULT", "/a/..//b%2f", "//b%2f"),
    ],
)
def test_kinds_of_normalization(kind: str, asked: str, seen: str) -> None:
    """Inbound and outbound."""
    inbound, outbound = free_port(), free_port()
    with App() as app:
        text = config(
            me(),
            service("app", outbound),
            workload("app-1", "app", {"http": app.port}),
            plain([(outbound, "HTTP")], [(inbound, "HTTP", app.port)]),
            mesh_config(pathNormalization={"normalization": kind}),
        )
        with Sidecar(text):
            for port in (inbound, outbound):
                answer = ask(port, asked, host="app")
                assert answer.json["line"].split()[1] == seen


def test_what_is_no_path() -> None:
    with guarded() as place:
        answer = ask(place.http, "/a%00b")
        assert answer.status == 400
        assert " 400 - path_normalization_failed " in place.proxy.access("/a%00b")
        assert place.app.requests == []


def fate(port: int) -> str:
    """What becomes of bytes on an opaque port."""
    try:
        with Peer.connect(port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: app\r\n\r\n")
            return "answer" if client.more() else "end"
    except ConnectionResetError:
        return "reset"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"rules": [source(ipBlocks=["127.0.0.1"])]}, "answer"),
        ({"rules": [to(methods=["GET"])]}, "reset"),
        ({"rules": [source(principals=["*"])]}, "reset"),
        ({"action": "DENY", "rules": [to(methods=["NONE"])]}, "reset"),
        ({"action": "DENY", "rules": [to(ports=["1"], methods=["GET"])]}, "answer"),
    ],
)
def test_tcp(spec: dict[str, Any], expected: str) -> None:
    """What only HTTP has never allows a connection, and falls away where one is denied."""
    with guarded(policy(**spec)) as place:
        assert fate(place.tcp) == expected
        if expected == "reset":
            place.proxy.access("rbac_access_denied_matched_policy[")
            assert place.app.requests == []


def test_a_silent_client_of_any_protocol_is_judged_when_it_speaks() -> None:
    """Its connection would be refused if it were opaque; it turns out to be HTTP, which may."""
    with guarded(policy(rules=[to(methods=["GET"])])) as place, Peer.connect(place.any) as client:
        assert client.silent(0.5), "nothing is decided while nobody speaks"
        assert client.ask().status == 200
        assert place.proxy.metrics().samples(DENIED) == []
        with Peer.connect(place.any) as opaque:
            assert opaque.silent(0.3)
            with pytest.raises((ConnectionResetError, Ended)):
                opaque.send(b"\x00\x01not http\r\n").exactly(1)
        labels = {"policy": "", "rule": "none", "protocol": "tcp"}
        wait_until(lambda: place.proxy.metrics().value(DENIED, **labels) == 1, "the count")


def test_grpc_calls_are_told_in_their_own_way() -> None:
    with guarded(policy()) as place:
        pairs = [("Content-Type", "application/grpc")]
        answer = ask(place.http, "/s/m", method="POST", headers=pairs)
        assert (answer.status, answer.get("grpc-status")) == (200, "7")
        assert "RBAC: access denied" in (answer.get("grpc-message") or "")


def test_dry_run_and_audit_are_told_and_decide_nothing() -> None:
    key = "istio_dry_run_%s_shadow_%s"
    shown = {
        f"{action}-{what}": f"%DYNAMIC_METADATA(envoy.filters.http.rbac:{key % (action, what)})%"
        for action in ("allow", "deny")
        for what in ("engine_result", "effective_policy_id")
    }
    dry = {"istio.io/dry-run": "true"}
    policies = [
        policy("audit", action="AUDIT", rules=[to(paths=["/x"])]),
        policy("deny", action="DENY", rules=[to(paths=["/x"])], annotations=dry),
        policy("allow", rules=[to(paths=["/y"])], annotations=dry),
    ]
    provider = {
        "name": "json",
        "envoyFileAccessLog": {
            "path": "/dev/stdout",
            "logFormat": {"labels": {"path": "%REQ(:PATH)%", **shown}},
        },
    }
    log = [
        mesh_config(extensionProviders=[provider]),
        istio("Telemetry", "t", {"accessLogging": [{"providers": [{"name": "json"}]}]}),
    ]
    with guarded(*policies, *log) as place:
        assert ask(place.http, "/x").status == ask(place.http, "/y").status == 200
        wait_until(lambda: len(place.proxy.output.splitlines()) == 2, "two lines")
        lines = {line["path"]: line for line in map(json.loads, place.proxy.output.splitlines())}
        line = lines["/x"]
        assert line["deny-engine_result"] == "denied"
        assert line["deny-effective_policy_id"] == "ns[default]-policy[deny]-rule[0]"
        assert line["allow-engine_result"] == "denied"
        assert line["allow-effective_policy_id"] is None
        line = lines["/y"]
        assert line["deny-engine_result"] == line["allow-engine_result"] == "allowed"
        metrics = place.proxy.metrics()
        name, rule = "default/deny", "0"
        assert metrics.value(SHADOW, action="deny", result="denied", policy=name, rule=rule) == 1
        assert metrics.value(SHADOW, action="audit", result="logged") == 1
        assert metrics.value(SHADOW, action="allow", result="allowed") == 1


def test_an_unusable_policy_says_so() -> None:
    broken = policy("broken", rules=[to(path=["/x"], ports=["1"])])
    with guarded(broken) as place:
        assert ask(place.http, "/x").status == 403
        assert "can't be relied on, and therefore allows nothing" in place.proxy.log
        assert "broken can't be relied on and allows nothing: spec.rules[0]" in (
            place.proxy.access("/x")
        )


def test_policies_change_under_way() -> None:
    rules = [to(paths=["/x"])]
    with guarded(policy(rules=rules)) as place, Peer.connect(place.http) as client:
        assert client.ask("/x").status == 200
        place.proxy.reload(config(place.text, policy(action="DENY", rules=rules)))
        wait_until(lambda: client.ask("/x").status == 403, "the new policy to hold")
        assert client.ask("/y").status == 200


@pytest.mark.parametrize("codec", CODECS)
def test_http2_requests_are_judged_one_by_one(codec: str) -> None:
    denies = policy(action="DENY", rules=[to(paths=["/admin"])])
    with guarded(denies, codec=codec) as place, Http2Client(place.http) as client:
        assert client.ask(path="/x/..;/admin").status == 403
        assert client.ask(path="/%61dmin?x").status == 403
        assert client.ask(path="/x#/../admin").status == 400
        assert client.ask(path="/other").status == 200
        seen = [request.target for request in place.app.requests]
        assert seen == ["/other"]
