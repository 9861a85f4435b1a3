"""What is sent, and how what comes back is read."""

from __future__ import annotations

import pytest

from benchmarks.load.answer import Answer
from benchmarks.load.probe import Probed
from benchmarks.load.request import HEADERS, request_maker, wrk_script
from benchmarks.load.result import LoadError, LoadResult
from benchmarks.load.wrk import parse_wrk

_OUTPUT = """\
Running 5s test @ http://127.0.0.1:10000/
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.36ms    1.02ms  21.07ms   95.71%
Requests/sec:  12011.11
RESULT requests=60000 duration_us=5000123 p50_us=1201 p99_us=4050{errors}
"""
_NONE = " connect=0 read=0 write=0 timeout=0 status=0"


def test_wrk_that_had_no_errors() -> None:
    found = parse_wrk(_OUTPUT.format(errors=_NONE))
    assert found == LoadResult(60000, 5.000123, 1201, 4050, {})


def test_wrk_that_had_errors() -> None:
    text = _OUTPUT.format(errors=_NONE.replace("read=0", "read=3").replace("us=0", "us=12"))
    assert parse_wrk(text).errors == {"read": 3, "status": 12}


def test_wrk_that_said_nothing() -> None:
    with pytest.raises(LoadError, match="no result"):
        parse_wrk("unable to connect to 127.0.0.1:10000 Connection refused\n")


def test_three_headers_and_the_path_differ() -> None:
    make = request_maker()
    first, second = make(1).split(b"\r\n"), make(2).split(b"\r\n")
    assert len(HEADERS) == 12
    assert len(first) == len(second) == 1 + 12 + 2
    assert sum(a != b for a, b in zip(first, second, strict=True)) == 4
    assert first[0] == b"GET /api/v1/products/1 HTTP/1.1"
    assert b"X-Request-Id: 4bf92f35-77b3-4da6-a3ce-000000000001" in first


def test_the_script_for_wrk_sends_the_same() -> None:
    script = wrk_script()
    for name, value in HEADERS:
        expected = f'string.format("{value}", n)' if "%" in value else f'"{value}"'
        assert f'["{name}"] = {expected}' in script


_HEAD = b"HTTP/1.1 200 OK\r\ndate: x\r\ncontent-LENGTH: 5\r\n\r\n"


def test_an_answer_in_pieces() -> None:
    answer = Answer()
    whole = _HEAD + b"hello"
    assert [answer.feed(whole[at : at + 1]) for at in range(len(whole))] == [
        *[False] * (len(whole) - 1),
        True,
    ]
    assert (answer.status, answer.body) == (200, b"hello")


def test_an_answer_without_a_body() -> None:
    assert Answer().feed(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", id="no length"),
        pytest.param(b"garbage and more garbage\r\n\r\n", id="no answer"),
        pytest.param(_HEAD + b"hello" + b"HTTP/1.1", id="more than one"),
    ],
)
def test_what_cannot_be_measured(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"answer|invalid literal"):
        Answer().feed(data)


@pytest.mark.parametrize(
    ("v1", "v2", "weighted"),
    [(270, 30, True), (285, 15, True), (300, 0, False), (150, 150, False), (0, 0, False)],
)
def test_a_split_is_believed(v1: int, v2: int, weighted: bool) -> None:
    assert Probed({"v1": v1, "v2": v2}, 0).weighted is weighted
