"""The leaf rules of X.509-SVIDs, by table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from meshproxy.identity import IdentityError
from meshproxy.identity.spiffe import parse
from meshproxy.identity.svid import check_svid, trusted
from meshproxy.identity.x509 import CLIENT_AUTH, SERVER_AUTH, Certificate

ID = "spiffe://cluster.local/ns/shop/sa/cart"
GOOD = Certificate(
    uris=(ID,),
    dns_names=("cart.shop.svc",),
    ip_addresses=(),
    is_ca=False,
    key_usage=frozenset({"digital_signature", "key_encipherment"}),
    extended_key_usage=frozenset({SERVER_AUTH, CLIENT_AUTH}),
    not_before=0.0,
    not_after=1.0,
    serial=1,
    subject="",
    issuer="O=cluster.local",
    key_type="EC",
)
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("no URI", {"uris": ()}, "no URI name"),
    ("two URIs", {"uris": (ID, "https://cart.example/")}, "2 URI names"),
    ("the same twice", {"uris": (ID, ID)}, "2 URI names"),
    ("not SPIFFE", {"uris": ("https://cart.example/",)}, "no SPIFFE ID"),
    ("no path", {"uris": ("spiffe://cluster.local",)}, "no path"),
    ("authority", {"is_ca": True}, "authority"),
    ("no key usage", {"key_usage": None}, "does not say what its key is for"),
    ("no signature", {"key_usage": frozenset({"key_encipherment"})}, "digitalSignature"),
    ("signs", {"key_usage": frozenset({"digital_signature", "key_cert_sign"})}, "keyCertSign"),
    ("lists", {"key_usage": frozenset({"digital_signature", "crl_sign"})}, "cRLSign"),
    ("client's", {"extended_key_usage": frozenset({CLIENT_AUTH})}, "no serverAuth"),
    ("empty", {"extended_key_usage": frozenset()}, "no serverAuth"),
]


@pytest.mark.parametrize(
    ("change", "reason"), [row[1:] for row in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_certificates_that_identify_nobody(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(IdentityError, match=reason):
        check_svid(replace(GOOD, **change), server=True)


@pytest.mark.parametrize("server", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"dns_names": ()},
        {"extended_key_usage": None},
        {"key_usage": frozenset({"digital_signature", "key_agreement"})},
    ],
)
def test_certificates_that_do(change: dict[str, Any], server: bool) -> None:
    assert check_svid(replace(GOOD, **change), server) == parse(ID)


def test_each_side_needs_its_own_usage() -> None:
    for mine, server in ((SERVER_AUTH, True), (CLIENT_AUTH, False)):
        one = replace(GOOD, extended_key_usage=frozenset({mine}))
        assert check_svid(one, server) == parse(ID)
        with pytest.raises(IdentityError, match="extended key usage"):
            check_svid(one, not server)


def test_trust_is_by_domain_or_alias() -> None:
    identity = parse(ID)
    assert trusted(identity, "cluster.local")
    assert trusted(identity, "new.example", ("old.example", "cluster.local"))
    assert not trusted(identity, "local")
    assert not trusted(identity, "new.example", ("cluster.local.example",))
