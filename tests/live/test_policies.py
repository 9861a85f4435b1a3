"""Policies that this build can't follow are never silently left out: they refuse."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.peers import Ended, Peer, ask, request, wait_until
from tests.support.servers import App
from tests.support.sidecar import (
    CODECS,
    Sidecar,
    config,
    free_port,
    istio,
    me,
    plain,
    service,
    settings,
    workload,
)


@dataclass(frozen=True)
class Place:
    proxy: Sidecar
    app: App
    inbound: int
    opaque: int
    outbound: int
    text: str


@contextmanager
def guarded(*policies: Mapping[str, Any], codec: str = "fast") -> Iterator[Place]:
    """An app behind ingress ports for HTTP and TCP, and behind an egress port."""
    inbound, opaque, outbound = free_port(), free_port(), free_port()
    with App() as app:
        text = config(
            me(),
            service("app", outbound),
            workload("app-1", "app", {"http": app.port}),
            plain([(outbound, "HTTP")], [(inbound, "HTTP", app.port), (opaque, "TCP", app.port)]),
            settings(accessLogFlush="20ms"),
        )
        with Sidecar(config(text, *policies), codec=codec) as proxy:
            yield Place(proxy, app, inbound, opaque, outbound, text)


def allow_nobody(**spec: Any) -> dict[str, Any]:
    return istio("AuthorizationPolicy", "nobody", spec)


def fate(port: int) -> str:
    """How a connection ends that asks for something: an answer, an end or a reset."""
    try:
        with Peer.connect(port) as client:
            client.send_quietly(request())
            ending = client.ending(1.0)
            return "answer" if client.buffer else ending
    except TimeoutError:
        return "answer"
    except ConnectionResetError:
        return "reset"


@pytest.mark.parametrize("codec", CODECS)
def test_an_authorization_policy_denies(codec: str) -> None:
    """403 without the policy's name, which stands in the log; nothing reaches the app."""
    with guarded(allow_nobody(), codec=codec) as place:
        for path in ("/?first", "/?second"):
            answer = ask(place.inbound, path)
            assert answer.status == 403
            assert answer.get("server") == "istio-envoy"
            assert "nobody" not in answer.text
            assert "RBAC: access denied" in answer.text
        line = place.proxy.access("/?first")
        assert " 403 - rbac_access_denied_matched_policy[none] " in line
        assert "nobody" in line
        assert fate(place.opaque) == "reset"
        assert place.app.requests == []
        assert ask(place.outbound).status == 200, "what the app calls is none of its business"
        metrics = place.proxy.metrics()
        labels = {"reporter": "destination", "response_code": "403"}
        assert metrics.value("istio_requests_total", **labels) == 2


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(allow_nobody(action="AUDIT", rules=[{}]), id="AUDIT"),
        pytest.param(
            istio(
                "AuthorizationPolicy",
                "dry",
                {"action": "DENY", "rules": [{}]},
                annotations={"istio.io/dry-run": "true"},
            ),
            id="dry-run",
        ),
        pytest.param(
            allow_nobody(selector={"matchLabels": {"app": "somebody-else"}}), id="another's"
        ),
        pytest.param(
            istio("AuthorizationPolicy", "far", {}, namespace="elsewhere"), id="another namespace"
        ),
    ],
)
def test_policies_that_decide_nothing_here(policy: Mapping[str, Any]) -> None:
    with guarded(policy) as place:
        assert ask(place.inbound).status == 200


def test_a_policy_with_an_unknown_field_denies() -> None:
    """Whoever wrote it meant to restrict something."""
    with guarded(allow_nobody(rules=[{}], unknown="field")) as place:
        assert ask(place.inbound).status == 403


def test_request_authentication_denies() -> None:
    rules = [{"issuer": "https://issuer.example", "jwksUri": "https://issuer.example/keys"}]
    with guarded(istio("RequestAuthentication", "tokens", {"jwtRules": rules})) as place:
        assert ask(place.inbound).status == 403


STRICT = {"mtls": {"mode": "STRICT"}}


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(istio("PeerAuthentication", "strict", STRICT), id="namespace"),
        pytest.param(
            istio("PeerAuthentication", "strict", STRICT, namespace="istio-system"), id="mesh"
        ),
        pytest.param(
            istio(
                "PeerAuthentication",
                "strict",
                {**STRICT, "selector": {"matchLabels": {"app": "me"}}},
            ),
            id="workload",
        ),
    ],
)
def test_strict_refuses_plain_text(policy: Mapping[str, Any]) -> None:
    """By a reset, with a line in the log that names the policy, and counted; of HTTP and TCP."""
    with guarded(policy) as place:
        refused = "meshproxy_connections_refused_total"
        for at, port in enumerate((place.inbound, place.opaque), 1):
            assert fate(port) == "reset"
            assert place.proxy.metrics().value(refused, reason="plaintext") == at
        place.proxy.wait_for_log("refused 127.0.0.1")
        assert "PeerAuthentication" in place.proxy.log
        assert "strict" in place.proxy.log
        assert place.app.requests == []
        assert ask(place.outbound).status == 200, "what the app calls is none of its business"


@pytest.mark.parametrize("mode", ["PERMISSIVE", "DISABLE", "UNSET"])
def test_other_modes_let_plain_text_in(mode: str) -> None:
    with guarded(istio("PeerAuthentication", "open", {"mtls": {"mode": mode}})) as place:
        assert ask(place.inbound).status == 200


def test_one_port_may_be_an_exception() -> None:
    inbound, other = free_port(), free_port()
    with App() as app:
        text = config(
            me(),
            plain([], [(inbound, "HTTP", app.port), (other, "HTTP", app.port)]),
            istio(
                "PeerAuthentication",
                "mixed",
                {
                    **STRICT,
                    "selector": {"matchLabels": {"app": "me"}},
                    "portLevelMtls": {other: {"mode": "PERMISSIVE"}},
                },
            ),
        )
        with Sidecar(text):
            assert fate(inbound) == "reset"
            assert ask(other).status == 200


def test_a_policy_that_comes_later_holds_for_open_connections() -> None:
    """The next request on every connection is under the new plan."""
    with guarded() as place, Peer.connect(place.inbound) as client:
        assert client.ask().status == 200
        place.proxy.reload(config(place.text, allow_nobody()))
        wait_until(lambda: client.ask().status == 403, "the policy to hold")
        place.proxy.reload(place.text)
        wait_until(lambda: client.ask().status == 200, "the policy to be gone")


def test_strict_that_comes_later_ends_open_connections() -> None:
    """A connection whose transport the new plan does not admit carries nothing more."""
    strict = istio("PeerAuthentication", "strict", STRICT)
    with guarded() as place, Peer.connect(place.inbound) as client:
        assert client.ask().status == 200
        place.proxy.reload(config(place.text, strict))
        wait_until(lambda: fate(place.inbound) == "reset", "the policy to hold for new ones")
        with contextlib.suppress(OSError, Ended):
            assert client.ask("/late").status != 200
        assert place.app.count("/late") == 0
