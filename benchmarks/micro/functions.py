"""The steps of a request one by one: what each costs, with no socket and no loop.

Every case is made by itself, so that one whose function has moved is left out and said, and the
others stay. The names are kept, as they are what runs are compared by.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.load.request import request_maker
from benchmarks.micro.exchange import ANSWER
from benchmarks.micro.mesh import PORT, snapshot
from benchmarks.micro.timing import Block, repeated

_REQUEST = request_maker()(7)


def _reader(codec: str) -> Any:
    from meshproxy.model.settings import DEFAULTS
    from meshproxy.wire.codecs import http1_reader

    return http1_reader(codec)(DEFAULTS.max_request_headers_bytes, DEFAULTS.max_request_headers)


def read_request(codec: str) -> Block:
    reader = _reader(codec)

    def read() -> None:
        reader.feed(_REQUEST)
        assert reader.request() is not None

    read()
    return repeated(read)


def read_answer(codec: str) -> Block:
    reader = _reader(codec)

    def read() -> None:
        reader.feed(ANSWER)
        assert reader.response(b"GET") is not None
        while not reader.ended:
            assert reader.body()

    read()
    return repeated(read)


def _head() -> Any:
    reader = _reader("fast")
    reader.feed(_REQUEST)
    return reader.request()


def write_request() -> Block:
    """Headers as the upstream shall see them, and the head's bytes."""
    from meshproxy.serve.headers import request_headers
    from meshproxy.wire.h1_write import request_head

    head = _head()
    headers = list(head.headers)

    def write() -> None:
        head.headers = headers.copy()
        ready = request_headers(head, True, bytes)
        request_head(head.method, head.path, ready)

    return repeated(write)


def write_answer() -> Block:
    """Headers as the client shall see them, and the head's bytes."""
    from meshproxy.serve.headers import answer_headers
    from meshproxy.wire.h1_write import response_head

    reader = _reader("fast")
    reader.feed(ANSWER)
    head = reader.response(b"GET")
    headers = list(head.headers)
    server = (b"server", b"envoy")
    date = b"Mon, 02 Mar 2026 10:00:00 GMT"

    def write() -> None:
        head.headers = headers.copy()
        ready = answer_headers(head, server, date, 1)
        response_head(head.status, head.reason, ready)

    return repeated(write)


def _chain(log: str) -> Any:
    """The compiled configuration of the plain listener; log lines are made and thrown away."""
    import random

    from meshproxy.base.addr import Address
    from meshproxy.cluster.endpoints import Registry
    from meshproxy.plan.build import Builder, Context
    from meshproxy.telemetry.metrics import Counters

    whole = snapshot(log)
    registry, counters = Registry(16), Counters(1000)
    context = Context(registry, counters, random.Random(1).random, lambda path: _nowhere, {})
    plan = Builder(context).build(whole, 1)
    listener = next(name for name, found in whole.listeners.items() if found.port == PORT)
    return plan.chain(listener, Address("127.0.0.1", PORT))


def _nowhere(line: str) -> None:
    pass


def route() -> Block:
    """Host, rule, weighted split and endpoint."""
    import random

    chain, head, draw = _chain("off"), _head(), random.Random(1).random

    def decide() -> None:
        destination = chain.route(head).choose(draw())
        destination.slot.plan.pick()

    return repeated(decide)


def normalize() -> Block:
    """A path that needs nothing, as nearly all do."""
    from meshproxy.model.paths import PathNormalization
    from meshproxy.wire.paths import compile_normalization

    path: bytes = _head().path
    found = compile_normalization(PathNormalization.BASE)
    assert found(path) == path
    return repeated(lambda: found(path))


def authorize() -> Block:
    """One policy that denies a path, and one that allows an account some methods and paths."""
    from meshproxy.base.addr import Address
    from meshproxy.model.policy import Action, Policy, Rule, Term
    from meshproxy.policy.judge import judge_of_requests
    from meshproxy.record import Record, Secured

    account = Term("principals", ("cluster.local/ns/shop/sa/front",))
    allowed = (Term("methods", ("GET", "POST")), Term("paths", ("/*",)))
    policies = [
        Policy("shop", "a", Action.DENY, (Rule(operations=((Term("paths", ("/admin/*",)),),)),)),
        Policy("shop", "b", Action.ALLOW, (Rule(((account,),), (allowed,)),)),
    ]
    judge = judge_of_requests(policies, ("cluster.local",))
    assert judge is not None
    head = _head()
    found = Record(100.0, 0.0, Address("127.0.0.1", 4000), Address("127.0.0.1", PORT))
    found.secured = Secured("spiffe://cluster.local/ns/shop/sa/front")
    assert judge(found, head) is None
    return repeated(lambda: judge(found, head))


def record(log: str) -> Block:
    """What follows a finished request: metrics, and a line if ``log`` is text or json."""
    chain = _chain(log)
    finished = _record(chain)

    def finish() -> None:
        chain.finish_http(finished)

    return repeated(finish)


def _record(chain: Any) -> Any:
    from meshproxy.base.addr import Address
    from meshproxy.record import Record

    reader = _reader("fast")
    reader.feed(ANSWER)
    found = Record(100.0, time.time(), Address("127.0.0.1", 4000), Address("127.0.0.1", PORT))
    found.request = head = _head()
    found.path, found.protocol = head.path, "HTTP/1.1"
    found.response, found.code, found.details = reader.response(b"GET"), 200, "via_upstream"
    found.chain, found.route = chain, chain.route(head)
    found.destination = found.route.choose(0.5)
    found.cluster = found.destination.slot.plan
    found.endpoint = found.cluster.pick()
    found.peer, found.upstream = found.endpoint.peer, Address("127.0.0.1", 9001)
    found.upstream_local = Address("127.0.0.1", 5000)
    found.body_out, found.wire_in, found.wire_out = 1024, len(_REQUEST), len(ANSWER)
    return found


FUNCTIONS: dict[str, Callable[[], Block]] = {
    "read a request, fast": lambda: read_request("fast"),
    "read a request, h11": lambda: read_request("h11"),
    "read an answer, fast": lambda: read_answer("fast"),
    "read an answer, h11": lambda: read_answer("h11"),
    "normalize the path": normalize,
    "authorize": authorize,
    "route, split, pick": route,
    "headers and head to upstream": write_request,
    "headers and head to client": write_answer,
    "count": lambda: record("off"),
    "count, text line": lambda: record("text"),
    "count, JSON line": lambda: record("json"),
}
