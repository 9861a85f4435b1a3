"""Header fields: what passes untouched, what ends at the sidecar, what it adds of its own."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

import pytest

from tests.live.conftest import Scene
from tests.support.peers import LOCAL, ask, say

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")


# The request.


def test_spelling_order_and_repetition_stay(scene: Scene) -> None:
    headers = [
        ("X-MiXed-Case", "Yes"),
        ("x-lower", "a"),
        ("X-Twice", "1"),
        ("X-Between", "  inner  blanks  stay".strip()),
        ("x-twice", "2"),
        ("X-Empty", ""),
        ("Cookie", "a=1"),
        ("Cookie", "b=2"),
    ]
    seen = ask(scene.outbound, headers=headers).seen
    assert [pair for pair in seen.headers if pair in headers] == headers


def test_values_of_any_byte_above_ascii_stay(scene: Scene) -> None:
    seen = ask(scene.outbound, headers=[("X-Latin", "caf\xe9 \xff")]).seen
    assert seen.get("x-latin") == "caf\xe9 \xff"


def test_blanks_around_values_do_not_matter(scene: Scene) -> None:
    text = "GET / HTTP/1.1\r\nHost:app\r\nX-A:\t 1 \t\r\nX-B:2\r\n\r\n"
    seen = say(scene.outbound, text).seen
    assert (seen.get("x-a"), seen.get("x-b"), seen.get("host")) == ("1", "2", "app")


def test_hop_by_hop_fields_end_here(scene: Scene) -> None:
    """With everything that `Connection` names (RFC 9110 section 7.6.1)."""
    gone = {
        "Connection": "X-Hop, keep-alive, Another",
        "X-Hop": "1",
        "another": "2",
        "Keep-Alive": "timeout=5",
        "Proxy-Connection": "keep-alive",
        "TE": "trailers",
    }
    seen = ask(scene.outbound, headers=[*gone.items(), ("X-Stays", "3")]).seen
    assert {name.lower() for name in seen.names}.isdisjoint(name.lower() for name in gone)
    assert seen.get("x-stays") == "3"


def test_connection_can_not_take_ours_away(scene: Scene) -> None:
    """They are added after what it names was dropped; and Host and length can't be named."""
    named = "host, content-length, x-request-id, x-forwarded-proto, x-envoy-attempt-count"
    seen = ask(scene.outbound, "/", "POST", headers=[("Connection", named)], body=b"abc").seen
    assert seen.get("host") == "app"
    assert seen.body == b"abc"
    assert UUID4.match(seen.get("x-request-id") or "")
    assert seen.get("x-forwarded-proto") == "http"
    assert seen.get("x-envoy-attempt-count") == "1"


def test_a_request_id_is_made_where_there_is_none(scene: Scene) -> None:
    ids = {ask(scene.outbound).seen.get("x-request-id") or "" for _ in range(10)}
    assert len(ids) == 10
    assert all(UUID4.match(each) for each in ids)


@pytest.mark.parametrize("value", ["b2a1ae4d-6b3c-4a3b-9f6e-111111111111", "anything at all"])
def test_a_request_id_that_is_there_is_kept(scene: Scene, value: str) -> None:
    for port in (scene.outbound, scene.inbound):
        assert ask(port, headers=[("X-Request-ID", value)]).seen.get("x-request-id") == value


def test_the_made_request_id_stands_in_the_log(scene: Scene) -> None:
    found = ask(scene.outbound, "/?made-id").seen.get("x-request-id")
    assert f'"{found}"' in scene.proxy.access("/?made-id")


@pytest.mark.parametrize("value", [None, "192.0.2.7", "192.0.2.7, 10.0.0.1"])
def test_forwarded_for_passes_unchanged(scene: Scene, value: str | None) -> None:
    """Both ways, as Istio's sidecars do it; the caller's address stands in the log."""
    for port in (scene.outbound, scene.inbound):
        headers = [("X-Forwarded-For", value)] if value else []
        assert ask(port, headers=headers).seen.get("x-forwarded-for") == value


def test_the_callers_address_stands_in_the_log(scene: Scene) -> None:
    with scene.client() as client:
        client.ask("/?who", headers=[("X-Forwarded-For", "192.0.2.7")])
        own = "{}:{}".format(*client.own_name)
    line = scene.proxy.access("/?who")
    assert f" {LOCAL}:{scene.outbound} {own} " in line
    assert '"192.0.2.7"' in line


def test_forwarded_proto_is_set_unless_it_is_there(scene: Scene) -> None:
    assert ask(scene.outbound).seen.get("x-forwarded-proto") == "http"
    seen = ask(scene.outbound, headers=[("X-Forwarded-Proto", "https")]).seen
    assert seen.get("x-forwarded-proto") == "https"


def test_attempts_are_counted_outbound(scene: Scene) -> None:
    headers = [("X-Envoy-Attempt-Count", "7")]
    assert ask(scene.outbound, headers=headers).seen.get("x-envoy-attempt-count") == "1"
    assert ask(scene.outbound).seen.get("x-envoy-attempt-count") == "1"
    # Inbound it is what the caller's sidecar said.
    assert ask(scene.inbound, headers=headers).seen.get("x-envoy-attempt-count") == "7"
    assert ask(scene.inbound).seen.get("x-envoy-attempt-count") is None


OVERRIDES = ["X-Envoy-Upstream-Rq-Timeout-Ms", "X-Envoy-Max-Retries", "X-Envoy-Retry-On"]


@pytest.mark.parametrize("name", OVERRIDES)
def test_a_stranger_can_not_override(scene: Scene, name: str) -> None:
    """Only internal callers may: exactly one address in X-Forwarded-For, and a private one."""
    seen = ask(
        scene.outbound, headers=[(name, "1"), ("X-Forwarded-For", "192.0.2.7, 8.8.8.8")]
    ).seen
    assert seen.get(name) is None


def test_the_host_stays_as_it_was_written(scene: Scene) -> None:
    port = scene.outbound
    for host in ("app", "APP", f"app:{port}", "app.default.svc.cluster.local", "App.default"):
        assert ask(port, host=host).seen.get("host") == host


def test_the_host_of_an_absolute_target_counts(scene: Scene) -> None:
    """RFC 9112 section 3.2.2: the target's host decides, and replaces what Host said."""
    text = "GET http://app/a?b HTTP/1.1\r\nHost: unknown.example\r\n\r\n"
    answer = say(scene.outbound, text)
    assert answer.status == 200
    assert answer.seen.start == "GET /a?b HTTP/1.1"
    assert answer.seen.get("host") == "app"


@pytest.mark.parametrize(
    ("target", "path"),
    [("http://app", "/"), ("http://app?x=1", "/?x=1"), ("HTTP://APP/x", "/x")],
)
def test_absolute_targets(scene: Scene, target: str, path: str) -> None:
    seen = say(scene.outbound, f"GET {target} HTTP/1.1\r\nHost: app\r\n\r\n").seen
    assert seen.target == path


# The answer.


def test_answers_keep_spelling_and_repetition(scene: Scene) -> None:
    answer = ask(scene.outbound, "/fields")
    assert ("X-MiXed-Case", "Yes") in answer.headers
    assert [pair for pair in answer.headers if pair[0].lower() == "set-cookie"] == [
        ("Set-Cookie", "a=1"),
        ("set-cookie", "b=2"),
    ]


def test_the_answers_hop_by_hop_fields_end_here(scene: Scene) -> None:
    answer = ask(scene.outbound, "/fields")
    assert answer.get("x-hop") is None
    assert answer.get("keep-alive") is None
    assert answer.get("connection") is None


def test_server_and_service_time_are_ours(scene: Scene) -> None:
    """Outbound has Envoy's own name, inbound Istio's, as its sidecars do it."""
    for port, name in ((scene.outbound, "envoy"), (scene.inbound, "istio-envoy")):
        answer = ask(port, "/fields")
        assert answer.get("server") == name
        assert answer.get("x-envoy-upstream-service-time") not in (None, "99")


def test_service_time_is_how_long_the_upstream_took(scene: Scene) -> None:
    answer = ask(scene.outbound, "/slow?ms=120")
    assert 115 <= int(answer.get("x-envoy-upstream-service-time") or 0) < 1000


def test_date_is_added_where_there_is_none(scene: Scene) -> None:
    assert ask(scene.outbound, "/fields").get("date") == "Sat, 01 Jan 2000 00:00:00 GMT"
    assert parsedate_to_datetime(ask(scene.outbound).get("date") or "").year >= 2024


def test_local_answers_say_who_speaks(scene: Scene) -> None:
    answer = ask(scene.outbound, host="unknown.example")
    assert answer.get("server") == "envoy"
    assert answer.get("x-envoy-upstream-service-time") is None
    assert parsedate_to_datetime(answer.get("date") or "").year >= 2024
