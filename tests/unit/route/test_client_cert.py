"""What the app is told of callers' certificates, by mode."""

from __future__ import annotations

import pytest

from meshproxy.model.client_cert import DEFAULT, CertDetails, ClientCert, ForwardMode
from meshproxy.record import Secured
from meshproxy.route.client_cert import FIELD, compile_client_cert
from meshproxy.serve.headers import request_headers
from meshproxy.wire.heads import HTTP11, RequestHead, index

SHOWN = Secured("spiffe://a/b", xfcc=b"Hash=shown", tell=lambda details: b"Hash=told")
HIDDEN = Secured()  # TLS without a certificate of the caller's
SAID = b"Hash=said"


def told(wanted: ClientCert, said: tuple[bytes, ...], secured: Secured | None) -> list[bytes]:
    """The values of the field that go on to the app."""
    headers = [(b"Host", b"a"), *((b"X-Forwarded-Client-Cert", value) for value in said)]
    head = RequestHead(b"GET", b"/", b"a", HTTP11, headers, index(headers))
    passed = request_headers(head, False, lambda: b"id", secured)
    tell = compile_client_cert(wanted)
    if tell is not None:
        passed = tell(head, passed, secured)
    assert passed[0] == (b"Host", b"a")
    return [value for name, value in passed if name.lower() == FIELD]


BOTH = b"Hash=said,Hash=told"


# Said and shown, shown alone; said without a certificate, in TLS and in plain text.
@pytest.mark.parametrize(
    ("mode", "both", "shown", "hidden", "plain"),
    [
        (ForwardMode.APPEND_FORWARD, [BOTH], [b"Hash=told"], [], []),
        (ForwardMode.SANITIZE_SET, [b"Hash=told"], [b"Hash=told"], [], []),
        (ForwardMode.FORWARD_ONLY, [SAID], [], [], []),
        (ForwardMode.ALWAYS_FORWARD_ONLY, [SAID], [], [SAID], [SAID]),
        (ForwardMode.SANITIZE, [], [], [], []),
    ],
)
def test_modes(
    mode: ForwardMode,
    both: list[bytes],
    shown: list[bytes],
    hidden: list[bytes],
    plain: list[bytes],
) -> None:
    wanted = ClientCert(mode, CertDetails(cert=True))
    assert told(wanted, (SAID,), SHOWN) == both
    assert told(wanted, (), SHOWN) == shown
    assert told(wanted, (SAID,), HIDDEN) == hidden
    assert told(wanted, (SAID,), None) == plain


def test_the_usual_costs_nothing() -> None:
    assert compile_client_cert(DEFAULT) is None
    assert told(DEFAULT, (SAID,), SHOWN) == [b"Hash=said,Hash=shown"]
    assert told(DEFAULT, (SAID,), HIDDEN) == []
    assert told(DEFAULT, (SAID,), None) == []


def test_what_was_said_twice_is_one_list() -> None:
    wanted = ClientCert(ForwardMode.FORWARD_ONLY)
    assert told(wanted, (b"Hash=1", b"Hash=2"), SHOWN) == [b"Hash=1,Hash=2"]
