"""Elements of X-Forwarded-Client-Cert."""

from __future__ import annotations

import pytest

from meshproxy.model.client_cert import CertDetails
from meshproxy.wire.forwarded_cert import element

NONE = CertDetails(subject=False, dns=False, uri=False)
PEM = "-----BEGIN A-----\na+b/c=\n-----END A-----\n"
ESCAPED = "-----BEGIN%20A-----%0Aa%2Bb%2Fc%3D%0A-----END%20A-----%0A"


@pytest.mark.parametrize(
    ("details", "rest"),
    [
        (CertDetails(), ';Subject="CN=x,O=\\"y\\"";URI=spiffe://a;URI="b=c";DNS=d;DNS=e'),
        (NONE, ""),
        (CertDetails(subject=False, dns=False), ';URI=spiffe://a;URI="b=c"'),
        (CertDetails(subject=False, uri=False), ";DNS=d;DNS=e"),
        (CertDetails(False, True, False, False, False), f';Cert="{ESCAPED}"'),
        (CertDetails(False, False, True, False, False), f';Chain="{ESCAPED}{ESCAPED}"'),
        (
            CertDetails(True, True, True, False, False),
            f';Cert="{ESCAPED}";Chain="{ESCAPED}{ESCAPED}";Subject="CN=x,O=\\"y\\""',
        ),
    ],
)
def test_details(details: CertDetails, rest: str) -> None:
    made = element("me", "ff", 'CN=x,O="y"', ("spiffe://a", "b=c"), ("d", "e"), details, (PEM, PEM))
    assert made.decode() == "By=me;Hash=ff" + rest


def test_what_is_not_there() -> None:
    """As Envoy has it: ``Subject`` and ``URI`` stand there even so."""
    assert element("", "ff", "", (), ()) == b'Hash=ff;Subject="";URI='
