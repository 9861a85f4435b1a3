"""What is read of gRPC."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.wire.grpc import (
    grpc_status,
    is_grpc,
    seconds_of,
    status_of_http,
    time_limit,
    timeout_value,
)
from meshproxy.wire.heads import HTTP2, RequestHead, ResponseHead, index


def call(**fields: str) -> RequestHead:
    headers = [(name.replace("_", "-").encode(), fields[name].encode()) for name in fields]
    return RequestHead(b"POST", b"/a.B/C", b"", HTTP2, headers, index(headers))


@pytest.mark.parametrize(
    ("kind", "right"),
    [
        ("application/grpc", True),
        ("application/grpc+proto", True),
        ("application/grpc;charset=utf-8", True),
        ("application/grpc-web", False),
        ("application/grpc-web+proto", False),
        ("application/json", False),
        ("text/grpc", False),
    ],
)
def test_who_speaks_it(kind: str, right: bool) -> None:
    assert is_grpc(call(content_type=kind)) is right


def test_nothing_said_is_not_grpc() -> None:
    assert not is_grpc(call())


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (b"1H", 3600),
        (b"2M", 120),
        (b"30S", 30),
        (b"1500m", 1.5),
        (b"500000u", 0.5),
        (b"1n", 0.001),  # no timer is finer, and nobody is given less than was asked for
        (b"1500u", 0.002),
        (b"2500u", 0.003),
        (b"2000001n", 0.003),
        (b"99999999S", 99999999),
        (b"99999999H", 99999999 * 3600),
        (b"0S", 0),
        (b"100000000S", 0),  # more than eight digits
        (b"9" * 5000 + b"S", 0),
        (b"000000005S", 5),
        (b"+5S", 5),
        (b"5 S", 5),
        (b"++5S", 0),
        (b"5", 0),
        (b"1ms", 0),
        (b"\xb2S", 0),
        (b"1s", 0),
        (b"S", 0),
        (b"", 0),
        (b"-1S", 0),
        (b"1.5S", 0),
    ],
)
def test_timeouts(said: bytes, seconds: float) -> None:
    assert seconds_of(said) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("asked", "most", "limit"),
    [
        ("2S", 0, 2),
        ("2S", 5, 2),
        ("9S", 5, 5),
        ("nonsense", 5, 5),
        ("nonsense", 0, 0),
    ],
)
def test_the_lesser_of_both_limits(asked: str, most: float, limit: float) -> None:
    assert time_limit(call(content_type="application/grpc", grpc_timeout=asked), most) == limit
    assert time_limit(call(content_type="application/json", grpc_timeout=asked), most) == most


@given(st.floats(0.001, 10**8))
def test_timeouts_are_told_to_the_millisecond(seconds: float) -> None:
    said = timeout_value(seconds)
    assert len(said) <= 9
    assert seconds_of(said) == pytest.approx(seconds, abs=0.001, rel=1e-4)


@pytest.mark.parametrize(
    ("in_head", "trailer", "status"),
    [(b"", b"0", 0), (b"", b"14", 14), (b"5", None, 5), (b"", None, 2), (b"", b"x", 2)],
)
def test_status(in_head: bytes, trailer: bytes | None, status: int) -> None:
    headers = [(b"grpc-status", in_head)] if in_head else []
    answer = ResponseHead(200, headers, index(headers))
    trailers = [] if trailer is None else [(b"grpc-status", trailer)]
    assert grpc_status(answer, trailers) == status


@pytest.mark.parametrize(("http", "status"), [(200, 2), (401, 16), (404, 12), (503, 14)])
def test_an_answer_of_somebody_who_does_not_speak_it(http: int, status: int) -> None:
    assert grpc_status(ResponseHead(http, [], {}), [(b"x-trailer", b"1")]) == status


@pytest.mark.parametrize(("http", "status"), [(403, 7), (404, 12), (503, 14), (418, 2), (200, 2)])
def test_status_of_http(http: int, status: int) -> None:
    assert status_of_http(http) == status
