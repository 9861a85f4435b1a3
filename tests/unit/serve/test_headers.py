"""Which header fields pass, which end here, and which are ours."""

from __future__ import annotations

import pytest

from meshproxy.serve.headers import OVERRIDES, answer_headers, request_headers
from meshproxy.wire.heads import Headers, RequestHead, ResponseHead, index


def request(*pairs: tuple[bytes, bytes], outbound: bool = True) -> Headers:
    headers = [(b"Host", b"shop"), (b"x-request-id", b"r"), *pairs]
    head = RequestHead(b"GET", b"/", b"shop", 11, headers, index(headers))
    ours = 2 if outbound else 1
    return request_headers(head, outbound, lambda: b"new")[2:-ours]


@pytest.mark.parametrize(
    "name",
    [b"Connection", b"Keep-Alive", b"Proxy-Connection", b"TE", b"Upgrade", b"HTTP2-Settings"],
)
def test_hop_by_hop_fields_end_here(name: bytes) -> None:
    assert request((name, b"x"), (b"X-Y", b"z")) == [(b"X-Y", b"z")]


def test_what_connection_names_ends_here_before_ours_are_added() -> None:
    headers = [
        (b"Host", b"shop"),
        (b"Connection", b"close, X-Secret, x-request-id, x-forwarded-proto, host"),
        (b"X-Secret", b"1"),
        (b"X-Request-Id", b"mine"),
        (b"X-Forwarded-Proto", b"mine"),
    ]
    head = RequestHead(b"GET", b"/", b"shop", 11, headers, index(headers))
    passed = request_headers(head, True, lambda: b"new")
    assert passed == [(b"Host", b"shop"), (b"x-envoy-attempt-count", b"1")]


def test_forwarded_for_passes_unchanged() -> None:
    pair = (b"X-Forwarded-For", b"1.2.3.4, 5.6.7.8")
    assert request(pair) == [pair]


@pytest.mark.parametrize("name", sorted(OVERRIDES))
def test_strangers_do_not_steer(name: bytes) -> None:
    assert request((name, b"1")) == []


@pytest.mark.parametrize(
    ("forwarded", "kept"),
    [
        (b"10.0.0.1", True),
        (b"192.168.1.1", True),
        (b"8.8.8.8", False),
        (b"10.0.0.1, 10.0.0.2", False),
        (b"nonsense", False),
    ],
)
def test_internal_callers_may(forwarded: bytes, kept: bool) -> None:
    """Envoy's rule without use_remote_address: exactly one address, and a private one."""
    passed = request((b"X-Forwarded-For", forwarded), (b"x-envoy-max-retries", b"3"))
    assert ((b"x-envoy-max-retries", b"3") in passed) is kept


def test_a_request_id_is_made_and_known_to_the_log() -> None:
    headers = [(b"Host", b"shop")]
    head = RequestHead(b"GET", b"/", b"shop", 11, headers, index(headers))
    assert (b"x-request-id", b"new") in request_headers(head, True, lambda: b"new")
    assert head.fields[b"x-request-id"] == b"new"


def test_attempt_count_is_the_outbound_sidecars() -> None:
    pair = (b"X-Envoy-Attempt-Count", b"7")
    assert request(pair) == []
    assert request(pair, outbound=False) == [pair]


def answer(*pairs: tuple[bytes, bytes]) -> Headers:
    headers = list(pairs)
    head = ResponseHead(200, headers, index(headers))
    return answer_headers(head, (b"server", b"envoy"), b"now", 5)


OURS = [(b"server", b"envoy"), (b"x-envoy-upstream-service-time", b"5")]


def test_ours_replace_the_upstreams() -> None:
    passed = answer(
        (b"Server", b"nginx"),
        (b"Date", b"then"),
        (b"X-Envoy-Upstream-Service-Time", b"3"),
        (b"X-A", b"1"),
    )
    assert passed == [(b"Date", b"then"), (b"X-A", b"1"), *OURS]


def test_a_date_is_added_where_none_is() -> None:
    assert answer() == [(b"date", b"now"), *OURS]


@pytest.mark.parametrize("connection", [b"keep-alive", b"close", b"X-A", b"x-a, close", b"host"])
def test_answers_hop_by_hop(connection: bytes) -> None:
    passed = answer(
        (b"Connection", connection), (b"X-A", b"1"), (b"Keep-Alive", b"5"), (b"date", b"d")
    )
    wanted = [] if b"x-a" in connection.lower() else [(b"X-A", b"1")]
    assert passed == [*wanted, (b"date", b"d"), *OURS]


def test_repeated_answer_fields_are_kept_in_order() -> None:
    cookies = [(b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2")]
    assert answer(*cookies, (b"Connection", b"close"))[:2] == cookies
