"""Policies, callers and requests in one line."""

from __future__ import annotations

from collections.abc import Mapping

from meshproxy.base.addr import Address
from meshproxy.model.policy import Action, Clause, Policy, Rule, Term
from meshproxy.policy.judge import Denial, judge_of_connections, judge_of_requests
from meshproxy.record import Record, Secured
from meshproxy.wire.heads import HTTP11, RequestHead, index

ME = "spiffe://cluster.local/ns/shop/sa/web"


def terms(**fields: str) -> Clause:
    """``paths="/a /b"``, ``not_paths="/c"``."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for name, values in fields.items():
        negated = name.startswith("not_")
        found.setdefault(name.removeprefix("not_"), [(), ()])[negated] = tuple(values.split())
    return tuple(Term(name, *pair) for name, pair in found.items())


def when(key: str, values: str = "", not_values: str = "") -> Rule:
    return Rule(conditions=(Term(key, tuple(values.split()), tuple(not_values.split())),))


def source(**fields: str) -> Rule:
    return Rule(sources=(terms(**fields),))


def operation(**fields: str) -> Rule:
    return Rule(operations=(terms(**fields),))


def policy(*rules: Rule, action: Action = Action.ALLOW, **more: object) -> Policy:
    facts: dict[str, object] = {"namespace": "shop", "name": "p", **more}
    return Policy(action=action, rules=rules, **facts)  # type: ignore[arg-type]


def a_record(
    identity: str = "",
    client: str = "10.0.0.9",
    to: str = "10.0.0.1:80",
    sni: str = "",
    tls: bool = True,
) -> Record:
    ip, _, port = to.rpartition(":")
    record = Record(0.0, 0.0, Address(client, 4000), Address(ip, int(port)))
    if tls and (identity or sni):
        record.secured = Secured(identity, server_name=sni)
    return record


def a_head(path: str = "/", method: str = "GET", host: str = "shop", **headers: str) -> RequestHead:
    pairs = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return RequestHead(method.encode(), path.encode(), host.encode(), HTTP11, pairs, index(pairs))


def ask(
    *policies: Policy,
    record: Record | None = None,
    head: RequestHead | None = None,
    domains: tuple[str, ...] = ("cluster.local",),
    **request: str,
) -> Denial | None:
    """What policies say of a request, made of ``head`` or of the rest."""
    judge = judge_of_requests(policies, domains)
    assert judge is not None
    return judge(record or a_record(), head or a_head(**request))


def ask_tcp(*policies: Policy, record: Record | None = None) -> Denial | None:
    judge = judge_of_connections(policies, ("cluster.local",))
    return None if judge is None else judge(record or a_record())


def headers(pairs: Mapping[str, str]) -> RequestHead:
    found = [(name.encode(), text.encode()) for name, text in pairs.items()]
    return RequestHead(b"GET", b"/", b"shop", HTTP11, found, index(found))
