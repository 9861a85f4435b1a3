"""Each field and each key: who is meant by it and who is not."""

from __future__ import annotations

import pytest

from meshproxy.model.policy import Rule
from meshproxy.record import Record
from meshproxy.wire.heads import HTTP11, RequestHead, index
from tests.unit.policy.build import ME, a_head, a_record, ask, operation, policy, source, when

CALLER = a_record(ME)
STRANGER = a_record()


def allowed(rule: Rule, record: Record = CALLER, head: RequestHead | None = None) -> bool:
    return ask(policy(rule), record=record, head=head or a_head()) is None


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (source(principals="cluster.local/ns/shop/sa/web"), True),
        (source(principals="cluster.local/ns/shop/sa/we"), False),
        (source(principals="cluster.local/ns/shop/*"), True),
        (source(principals="*/sa/web"), True),
        (source(principals="*"), True),
        (source(principals=ME), False),
        (source(not_principals="cluster.local/ns/shop/sa/web"), False),
        (source(not_principals="*"), False),
        (source(not_principals="x"), True),
        (source(principals="*", not_principals="*/sa/web"), False),
        (source(namespaces="shop"), True),
        (source(namespaces="sho"), False),
        (source(namespaces="sh*"), True),
        (source(namespaces="*op"), True),
        (source(namespaces="*"), True),
        (source(namespaces="s.op"), False),
        (source(serviceAccounts="shop/web"), True),
        (source(serviceAccounts="web"), True),
        (source(serviceAccounts="other/web"), False),
        (source(serviceAccounts="we"), False),
        (source(trustDomains="cluster.local"), True),
        (source(trustDomains="cluster.loca"), False),
        (source(trustDomains="cluster*"), True),
        (source(trustDomains="*"), True),
        (source(not_trustDomains="cluster.local"), False),
        (when("source.principal", "*/sa/web"), True),
        (when("source.namespace", "shop"), True),
        (when("source.serviceAccount", "shop/web"), True),
        (when("source.trustDomain", "other"), False),
    ],
)
def test_identity(rule: Rule, expected: bool) -> None:
    assert allowed(rule) is expected


@pytest.mark.parametrize("name", ["principals", "namespaces", "serviceAccounts", "trustDomains"])
def test_who_shows_no_certificate_is_nobody(name: str) -> None:
    for record in (STRANGER, a_record(sni="shop")):
        assert not allowed(source(**{name: "*"}), record)
        assert allowed(source(**{f"not_{name}": "*"}), record)


@pytest.mark.parametrize(
    ("field", "blocks", "ip", "expected"),
    [
        ("ipBlocks", "10.0.0.9", "10.0.0.9", True),
        ("ipBlocks", "10.0.0.9", "10.0.0.90", False),
        ("ipBlocks", "10.0.0.77/24", "10.0.0.9", True),
        ("ipBlocks", "fd00::/8", "fd00::1", True),
        ("ipBlocks", "fd00::/8", "10.0.0.9", False),
        ("ipBlocks", "0.0.0.0/0", "fd00::1", False),
        ("not_ipBlocks", "10.0.0.0/8", "10.0.0.9", False),
        ("remoteIpBlocks", "10.0.0.9", "10.0.0.9", True),
    ],
)
def test_source_addresses(field: str, blocks: str, ip: str, expected: bool) -> None:
    assert allowed(source(**{field: blocks}), a_record(client=ip)) is expected


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("1.2.3.4", True),
        ("9.9.9.9, 1.2.3.4", True),
        ("9.9.9.9,1.2.3.4 ", True),
        ("1.2.3.4, 9.9.9.9", False),
        ("1.2.3.4,", False),
        ("1.2.3.4:80", False),
        ("01.2.3.4", False),
        ("x", False),
        ("", False),
    ],
)
def test_remote_address(forwarded: str, expected: bool) -> None:
    """The last entry of X-Forwarded-For; the peer's own where that is no address."""
    head = a_head(x_forwarded_for=forwarded)
    for rule in (source(remoteIpBlocks="1.2.3.4"), when("remote.ip", "1.2.3.0/24")):
        assert allowed(rule, head=head) is expected
    assert allowed(source(remoteIpBlocks="10.0.0.9"), head=head) is (forwarded in ODD)
    assert allowed(source(ipBlocks="10.0.0.9"), head=head)


ODD = ("1.2.3.4,", "1.2.3.4:80", "01.2.3.4", "x", "")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (operation(ports="80"), True),
        (operation(ports="8080 81"), False),
        (operation(not_ports="80"), False),
        (when("destination.port", "80"), True),
        (when("destination.ip", "10.0.0.0/30"), True),
        (when("destination.ip", "10.0.0.9"), False),
        (when("destination.ip", "", "10.0.0.1"), False),
    ],
)
def test_destination(rule: Rule, expected: bool) -> None:
    assert allowed(rule) is expected


@pytest.mark.parametrize(
    ("values", "name", "expected"),
    [
        ("shop.example", "shop.example", True),
        ("Shop.example", "shop.example", False),
        ("*.example", "shop.example", True),
        ("shop.*", "shop.example", True),
        ("*", "shop.example", True),
        ("*", "", False),
    ],
)
def test_server_name(values: str, name: str, expected: bool) -> None:
    assert allowed(when("connection.sni", values), a_record(ME, sni=name)) is expected
    opaque = a_record(tls=False)
    opaque.server_name = name
    assert allowed(when("connection.sni", values), opaque) is expected


@pytest.mark.parametrize(
    ("rule", "request_", "expected"),
    [
        (operation(hosts="Shop.example"), {"host": "shop.EXAMPLE"}, True),
        (operation(hosts="shop.example"), {"host": "shop.example:80"}, False),
        (operation(hosts="*.example"), {"host": "a.EXAMPLE"}, True),
        (operation(hosts="SHOP.*"), {"host": "shop.a"}, True),
        (operation(hosts="*"), {"host": "x"}, True),
        (operation(hosts="*"), {"host": ""}, False),
        (operation(methods="GET PUT"), {"method": "PUT"}, True),
        (operation(methods="get"), {}, False),
        (operation(methods="P*"), {"method": "POST"}, True),
        (operation(methods="*"), {}, True),
        (operation(paths="/a"), {"path": "/a?b"}, True),
        (operation(paths="/a"), {"path": "/a/"}, False),
        (operation(paths="/a*"), {"path": "/abc"}, True),
        (operation(paths="*.txt"), {"path": "/x.txt"}, True),
        (operation(paths="*"), {"path": "/"}, True),
        (operation(paths="*"), {"path": "shop:80", "method": "CONNECT"}, False),
        (operation(paths="/a*b"), {"path": "/axb"}, False),
        (operation(paths="*a*"), {"path": "/xax"}, False),
        (operation(not_paths="/admin*"), {"path": "/admin/x"}, False),
        (operation(paths="/ä"), {"path": "/ä"}, True),
    ],
)
def test_requests(rule: Rule, request_: dict[str, str], expected: bool) -> None:
    assert allowed(rule, head=a_head(**request_)) is expected


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("/a/{*}", "/a/b", True),
        ("/a/{*}", "/a/b/c", False),
        ("/a/{*}", "/a/", False),
        ("/a/{*}/c", "/a/b.x=1/c", True),
        ("/a/{*}", "/a/b*c", True),
        ("/a/{*}", "/a/b[c", False),
        ("/{**}/c", "/a/b/c", True),
        ("/{**}/c", "//c", True),
        ("/{**}/c", "/c", False),
        ("/{**}/é", "/a/é", True),
        ("/a/{**}", "/a/", True),
        ("/a/{**}", "/a", False),
        ("/a.b/{*}", "/axb/c", False),
        ("/{*}/x/{**}", "/q/x/y/z?d", True),
    ],
)
def test_templates(template: str, path: str, expected: bool) -> None:
    assert allowed(operation(paths=template), head=a_head(path)) is expected


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        (when("request.headers[X-A]", "one"), "one", True),
        (when("request.headers[x-a]", "one"), "One", False),
        (when("request.headers[x-a]", "on*"), "one", True),
        (when("request.headers[x-a]", "*ne"), "one", True),
        (when("request.headers[x-a]", "*"), "", True),
        (when("request.headers[x-b]", "*"), "", False),
        (when("request.headers[x-b]", "", "*"), "", True),
        (when("request.headers[x-a]", "", "one"), "one", False),
        (when("request.headers[:method]", "GET"), "", True),
        (when("request.headers[host]", "shop"), "", True),
    ],
)
def test_headers(rule: Rule, value: str, expected: bool) -> None:
    assert allowed(rule, head=a_head(x_a=value)) is expected


def test_one_of_a_repeated_headers_values() -> None:
    pairs = [(b"x-a", b"one"), (b"X-A", b"two")]
    head = RequestHead(b"GET", b"/", b"shop", HTTP11, pairs, index(pairs))
    assert allowed(when("request.headers[x-a]", "two"), head=head)
    assert not allowed(when("request.headers[x-a]", "", "two"), head=head)
    assert not allowed(when("request.headers[x-a]", "one,two"), head=head)


@pytest.mark.parametrize(
    "key",
    [
        "request.auth.principal",
        "request.auth.audiences",
        "request.auth.presenter",
        "request.auth.claims[iss]",
    ],
)
def test_there_are_no_tokens(key: str) -> None:
    assert not allowed(when(key, "*"))
    assert allowed(when(key, "", "*"))
    assert not allowed(source(requestPrincipals="*"))
    assert allowed(source(not_requestPrincipals="*"))
