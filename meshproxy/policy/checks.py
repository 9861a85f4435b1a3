"""The terms of a rule compiled: closures over sets, prefixes and networks.

A check is handed what all of them need (the caller's SPIFFE ID, looked up once), the record and the
request's head. On TCP no check looks at the head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network

from meshproxy.base.regex import full_match
from meshproxy.model.policy import Clause, Term
from meshproxy.policy.attributes import (
    BY_IDENTITY,
    SCHEME,
    Attribute,
    attribute_of,
    forwarded_ip,
    header_of,
    server_name_of,
)
from meshproxy.policy.rules import Line
from meshproxy.policy.texts import Ask, compile_texts, remembered
from meshproxy.record import Record
from meshproxy.wire.heads import RequestHead
from meshproxy.wire.values import header_values, path_only

Check = Callable[[str, Record, RequestHead], bool]


def compile_line(line: Line) -> Check:
    """Whether the rule holds."""
    rule, namespace = line.rule, line.policy.namespace
    parts = [_any([_all(clause, namespace) for clause in rule.sources])]
    parts.append(_any([_all(clause, namespace) for clause in rule.operations]))
    parts.append(_all(rule.conditions, namespace))
    return _both([part for part in parts if part is not None])


def _any(alternatives: Sequence[Check | None]) -> Check | None:
    """One of them; None where that is no question: there are none, or one is always true."""
    checks = [check for check in alternatives if check is not None]
    if not alternatives or len(checks) < len(alternatives):
        return None
    if len(checks) == 1:
        return checks[0]
    return lambda identity, record, head: any(check(identity, record, head) for check in checks)


def _all(clause: Clause, namespace: str) -> Check | None:
    checks = [check for term in clause for check in _checks(term, namespace)]
    return _both(checks) if checks else None


def _both(checks: Sequence[Check]) -> Check:
    if not checks:
        return _always
    if len(checks) == 1:
        return checks[0]
    if len(checks) == 2:
        one, two = checks
        return lambda identity, record, head: (
            one(identity, record, head) and two(identity, record, head)
        )
    return lambda identity, record, head: all(check(identity, record, head) for check in checks)


def _always(identity: str, record: Record, head: RequestHead) -> bool:
    return True


def _never(identity: str, record: Record, head: RequestHead) -> bool:
    return False


def _checks(term: Term, namespace: str) -> list[Check]:
    found = []
    if term.values:
        found.append(_check(term.field, term.values, namespace))
    if term.not_values:
        found.append(_not(_check(term.field, term.not_values, namespace)))
    return found


def _not(check: Check) -> Check:
    return lambda identity, record, head: not check(identity, record, head)


def _check(field: str, values: tuple[str, ...], namespace: str) -> Check:
    attribute = attribute_of(field)
    if attribute in BY_IDENTITY:
        ask = remembered(_IDENTITIES[attribute](values, namespace))
        return lambda identity, record, head: identity != "" and ask(identity)
    match attribute:
        case Attribute.SOURCE_IP:
            among = remembered(_networks(values))
            return lambda identity, record, head: among(record.direct.ip)
        case Attribute.DESTINATION_IP:
            among = remembered(_networks(values))
            return lambda identity, record, head: among(record.local.ip)
        case Attribute.REMOTE_IP:
            return _remote(values)
        case Attribute.PORT:
            ports = frozenset(int(value) for value in values)
            return lambda identity, record, head: record.local.port in ports
        case Attribute.SNI:
            test = compile_texts(values)
            return lambda identity, record, head: (
                (name := server_name_of(record)) != "" and test(name.encode())
            )
        case Attribute.TOKEN:
            return _never
        case _:
            return _of_request(attribute, field, values)


def _of_request(attribute: Attribute, field: str, values: tuple[str, ...]) -> Check:
    match attribute:
        case Attribute.HOST:
            test = compile_texts([value.lower() for value in values])
            return lambda identity, record, head: (
                head.authority != b"" and test(head.authority.lower())
            )
        case Attribute.METHOD:
            test = compile_texts(values)
            return lambda identity, record, head: test(head.method)
        case Attribute.PATH:
            test = compile_texts(values, templates=True)
            return lambda identity, record, head: (
                head.method != b"CONNECT" and (path := path_only(head.path)) != b"" and test(path)
            )
    test, name = compile_texts(values), header_of(field)
    key = name.encode()

    def header(identity: str, record: Record, head: RequestHead) -> bool:
        value = head.fields.get(key)
        if value is not None and b"," not in value:
            return test(value)
        return any(test(each) for each in header_values(head, name))

    return header


# Identities.


def _principals(values: tuple[str, ...], namespace: str) -> Ask:
    if "*" in values:
        return lambda identity: True
    test = compile_texts(values)
    return lambda identity: identity.startswith(SCHEME) and test(identity[len(SCHEME) :].encode())


def _namespaces(values: tuple[str, ...], namespace: str) -> Ask:
    return _expression([f".*/ns/{_wild(value, '.*')}/.*" for value in values])


def _accounts(values: tuple[str, ...], namespace: str) -> Ask:
    found = []
    for value in values:
        own, _, account = value.rpartition("/")
        own, account = _quote(own or namespace), _quote(account)
        found.append(f"spiffe://.+/ns/{own}/(.+/|)sa/{account}(/.+)?")
    return _expression(found)


def _trust_domains(values: tuple[str, ...], namespace: str) -> Ask:
    return _expression([f"spiffe://{_wild(value, '[^/]*')}/.*" for value in values])


_IDENTITIES: dict[Attribute, Callable[[tuple[str, ...], str], Ask]] = {
    Attribute.PRINCIPAL: _principals,
    Attribute.NAMESPACE: _namespaces,
    Attribute.ACCOUNT: _accounts,
    Attribute.TRUST_DOMAIN: _trust_domains,
}


def _wild(value: str, star: str) -> str:
    return star.join(_quote(piece) for piece in value.split("*"))


def _quote(text: str) -> str:
    """As RE2's QuoteMeta: a backslash before whatever is not a letter, digit or underscore."""
    return "".join(
        each if each.isalnum() or each == "_" or ord(each) > 127 else f"\\{each}" for each in text
    )


def _expression(patterns: list[str]) -> Ask:
    test = full_match("|".join(f"(?:{pattern})" for pattern in patterns))
    return lambda identity: test(identity.encode())


# Addresses.


def _networks(values: tuple[str, ...]) -> Ask:
    """Whether an address is in one of the subnets; ``ValueError`` for what is no address."""
    networks = [ip_network(value, strict=False) for value in values]

    def among(ip: str) -> bool:
        address = ip_address(ip)
        return any(address in network for network in networks)

    return among


def _remote(values: tuple[str, ...]) -> Check:
    among = remembered(_networks(values))

    def check(identity: str, record: Record, head: RequestHead) -> bool:
        forwarded = forwarded_ip(head)
        if forwarded:
            try:
                return among(forwarded)
            except ValueError:
                pass
        return among(record.client.ip)

    return check
