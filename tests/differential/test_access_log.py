"""Compiled log lines against the plain way of writing them."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from meshproxy.base.addr import Address
from meshproxy.model.logformat import ADDRESSES, NEED_ARGUMENT, OPERATORS
from meshproxy.model.telemetry import AccessLog
from meshproxy.record import NO_ADDRESS, Record
from meshproxy.telemetry.access_log import compile_access_log, reference_line
from meshproxy.wire.heads import RequestHead, ResponseHead, index

ENVIRONMENT = {"HOSTNAME": "h", "A": "b\"'\\"}

plain = st.sampled_from(sorted(OPERATORS - NEED_ARGUMENT)).map("%{}%".format)
headers = st.sampled_from(
    [
        "%REQ(X-A)%",
        "%REQ(:METHOD)%",
        "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
        "%REQ(:AUTHORITY)%",
        "%REQ(Host)%",
        "%REQ(:SCHEME)%",
        "%REQ(X-MISSING?X-A)%",
        "%REQ(X-A?X-MISSING)%",
        "%REQ(X-A?:AUTHORITY)%",
        "%REQ(User-Agent)%",
        "%REQ(X-A):3%",
        "%RESP(X-B)%",
        "%RESP(X-B?X-A)%",
        "%TRAILER(X)%",
        "%REQ_WITHOUT_QUERY(:PATH)%",
        "%ENVIRONMENT(A)%",
        "%START_TIME(%s.%3f)%",
        "%GRPC_STATUS(NUMBER)%",
        "%GRPC_STATUS(SNAKE_STRING)%",
    ]
)
texts = st.sampled_from(["", " ", "a", '"', "{", "%%", "'", "\\", "é"])
formats = st.lists(st.one_of(plain, headers, texts), max_size=8).map("".join)
values = st.sampled_from([b"", b"v", b'q"uo\\te', b"\xff\xfe", "é".encode(), b"{0}", b"%s"])
addresses = st.sampled_from([NO_ADDRESS, Address("10.0.0.1", 80), Address("fd00::1", 443)])


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


@st.composite
def records(draw: st.DrawFn) -> Record:
    record = Record(
        1.0, draw(st.sampled_from([0.0, 1700000000.123456])), *draw(st.tuples(addresses, addresses))
    )
    record.direct = draw(addresses)
    if draw(st.booleans()):
        pairs = [(b"Host", b"shop"), (b"X-A", draw(values)), (b"User-Agent", draw(values))]
        record.request = RequestHead(b"GET", b"/x", b"shop:80", 11, pairs, index(pairs))
        record.path = draw(st.sampled_from([b"/a?b", b"/\xc3\xa9"]))
    if draw(st.booleans()):
        pairs = [(b"x-b", draw(values))]
        record.response = ResponseHead(200, pairs, index(pairs))
    record.code = draw(st.sampled_from([0, 200]))
    record.flags = draw(st.sampled_from(["", "UF"]))
    record.details = draw(st.sampled_from(["", "via_upstream", "with blanks"]))
    record.termination = draw(st.sampled_from(["", 'policy "a"']))
    record.transport_failure = draw(st.sampled_from(["", "connection refused"]))
    record.route = draw(st.sampled_from([None, Named("r")]))
    record.cluster = draw(st.sampled_from([None, Named('c"1')]))
    record.upstream = draw(addresses)
    record.answered = draw(st.sampled_from([0.0, 1.5]))
    record.taken = draw(st.sampled_from([0.0, 1.25]))
    record.grpc_status = draw(st.sampled_from([-1, 0, 5, 99]))
    record.body_in = 7
    return record


def test_lines_of_many_records() -> None:
    """What is remembered of the records before stays within its bound, and is right."""
    log = AccessLog(
        "x", json=tuple((name, f"%{name}%") for name in sorted(OPERATORS - NEED_ARGUMENT))
    )
    writer, reference = compile_access_log(log, ENVIRONMENT), reference_line(log, ENVIRONMENT)
    for number in range(3000):
        client, local = Address("10.0.0.1", number), Address("10.0.0.2", number // 2)
        record = Record(1.0, 1_700_000_000 + number / 997, client, local)
        record.body_in = number
        record.server_name = f"{number % 1500}"
        record.details = "a" * (number % 300)
        assert writer.line(record) == reference(record)


@settings(max_examples=400)
@given(formats, records())
def test_text(text: str, record: Record) -> None:
    log = AccessLog("x", text=text)
    line = compile_access_log(log, ENVIRONMENT).line(record)
    assert line == reference_line(log, ENVIRONMENT)(record)


@settings(max_examples=400)
@given(st.lists(st.tuples(st.sampled_from(["a", 'k"', "%", "é"]), formats), max_size=5), records())
def test_json(pairs: list[tuple[str, str]], record: Record) -> None:
    log = AccessLog("x", json=tuple(pairs) or (("a", "b"),))
    line = compile_access_log(log, ENVIRONMENT).line(record)
    assert line == reference_line(log, ENVIRONMENT)(record)
    json.loads(line)
    assert line.endswith("\n")
    assert line.count("\n") == 1


def test_every_operator_is_compiled() -> None:
    assert ADDRESSES
    for name in OPERATORS:
        argument = "(A)" if name in NEED_ARGUMENT else ""
        record = Record(1.0, 1.0, NO_ADDRESS, NO_ADDRESS)
        log = AccessLog("x", text=f"%{name}{argument}%")
        assert compile_access_log(log, ENVIRONMENT).line(record).endswith("\n")
