"""Rules evaluated as their text reads, one term after the other.

It is what the compiled form is held to, and it is asked again when somebody wants to know why.
Texts match exactly, by ``prefix*``, by ``*suffix``, or by ``*``, which means that there is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network

from meshproxy.model.policy import Rule, Term
from meshproxy.policy.attributes import (
    SCHEME,
    Attribute,
    attribute_of,
    forwarded_ip,
    header_of,
    identity_of,
    server_name_of,
)
from meshproxy.policy.rules import Line
from meshproxy.record import Record
from meshproxy.wire.heads import RequestHead
from meshproxy.wire.values import header_values, path_only

# One segment's characters (RFC 3986 pchar), as Envoy's URI templates have them.
SEGMENT = r"[a-zA-Z0-9\-._~%!$&'()*+,;:@=]"


def first_match(lines: Iterable[Line], record: Record, head: RequestHead | None) -> Line | None:
    """The first line that holds. ``head`` None: of a TCP connection."""
    return next((line for line in lines if holds(line, record, head)), None)


def holds(line: Line, record: Record, head: RequestHead | None) -> bool:
    return next(failing(line, record, head), None) is None


def failing(line: Line, record: Record, head: RequestHead | None) -> Iterator[Term]:
    """The terms that keep a rule from holding: of its sources the nearest, of operations, too."""
    rule: Rule = line.rule
    for clauses in (rule.sources, rule.operations):
        nearest: list[Term] | None = None
        for clause in clauses:
            missed = [term for term in clause if not _term(term, line, record, head)]
            if nearest is None or len(missed) < len(nearest):
                nearest = missed
        yield from nearest or ()
    for term in rule.conditions:
        if not _term(term, line, record, head):
            yield term


def _term(term: Term, line: Line, record: Record, head: RequestHead | None) -> bool:
    texts = values_of(term.field, record, head)
    namespace = line.policy.namespace

    def any_of(wanted: Iterable[str]) -> bool:
        return any(_matches(term.field, each, text, namespace) for each in wanted for text in texts)

    return (not term.values or any_of(term.values)) and not any_of(term.not_values)


def values_of(field: str, record: Record, head: RequestHead | None) -> list[str]:
    """What there is of an attribute: nothing, one text, or the values of a repeated header."""
    match attribute_of(field):
        case Attribute.PRINCIPAL | Attribute.NAMESPACE | Attribute.ACCOUNT | Attribute.TRUST_DOMAIN:
            found = identity_of(record)
            return [found] if found else []
        case Attribute.SOURCE_IP:
            return [record.direct.ip]
        case Attribute.REMOTE_IP:
            forwarded = "" if head is None else forwarded_ip(head)
            return [forwarded if _is_ip(forwarded) else record.client.ip]
        case Attribute.DESTINATION_IP:
            return [record.local.ip]
        case Attribute.PORT:
            return [str(record.local.port)]
        case Attribute.SNI:
            found = server_name_of(record)
            return [found] if found else []
        case Attribute.TOKEN:
            return []
    assert head is not None, f"{field} is HTTP's"
    match attribute_of(field):
        case Attribute.HOST:
            raw = [head.authority] if head.authority else []
        case Attribute.METHOD:
            raw = [head.method]
        case Attribute.PATH:
            raw = [] if head.method == b"CONNECT" else [path_only(head.path)]
        case _:
            raw = header_values(head, header_of(field))
    return [each.decode("latin-1") for each in raw]


def _matches(field: str, wanted: str, text: str, namespace: str) -> bool:
    match attribute_of(field):
        case Attribute.PRINCIPAL:
            return matches_principal(wanted, text)
        case Attribute.NAMESPACE:
            return _full(".*/ns/" + _wild(wanted, ".*") + "/.*", text)
        case Attribute.ACCOUNT:
            own, _, account = wanted.rpartition("/")
            own, account = re.escape(own or namespace), re.escape(account)
            return _full(f"spiffe://.+/ns/{own}/(.+/|)sa/{account}(/.+)?", text)
        case Attribute.TRUST_DOMAIN:
            return _full("spiffe://" + _wild(wanted, "[^/]*") + "/.*", text)
        case Attribute.SOURCE_IP | Attribute.REMOTE_IP | Attribute.DESTINATION_IP:
            return ip_address(text) in ip_network(wanted, strict=False)
        case Attribute.PORT:
            return int(wanted) == int(text)
        case Attribute.HOST:
            return matches_text(_bytes(wanted).lower(), text.lower())
        case Attribute.PATH:
            if "{*}" in wanted or "{**}" in wanted:
                return _full(template(_bytes(wanted)), text)
            return matches_text(_bytes(wanted), text) and text != ""
        case Attribute.SNI:
            return matches_text(wanted, text)
        case _:
            return matches_text(_bytes(wanted), text)


def matches_text(wanted: str, text: str) -> bool:
    if wanted == "*":
        return True
    if wanted.startswith("*"):
        return text.endswith(wanted[1:])
    if wanted.endswith("*"):
        return text.startswith(wanted[:-1])
    return text == wanted


def matches_principal(wanted: str, identity: str) -> bool:
    if wanted == "*":
        return True
    return identity.startswith(SCHEME) and matches_text(wanted, identity[len(SCHEME) :])


def template(path: str) -> str:
    """A path with ``{*}`` for a segment and ``{**}`` for any number of them, as an expression."""
    pieces = re.split(r"(\{\*\*?\})", path)
    meaning = {"{*}": f"{SEGMENT}+", "{**}": f"{SEGMENT[:-1]}/]*"}
    return "".join(meaning.get(piece) or re.escape(piece) for piece in pieces)


def _bytes(text: str) -> str:
    """A text of the configuration, its UTF-8 a character a byte, as those of requests are."""
    return text.encode().decode("latin-1")


def _wild(wanted: str, star: str) -> str:
    return star.join(re.escape(piece) for piece in wanted.split("*"))


def _full(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text) is not None


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
