"""PEM, cut into blocks; half of a block is none."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.identity import IdentityError
from meshproxy.identity.pem import CERTIFICATE, blocks, pem_text


def pem(data: bytes, label: str = CERTIFICATE, end: str = "\n") -> bytes:
    text = base64.encodebytes(data).replace(b"\n", end.encode())
    return f"-----BEGIN {label}-----{end}".encode() + text + f"-----END {label}-----{end}".encode()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"", []),
        (b"nothing of the kind\n", []),
        (pem(b"one"), [b"one"]),
        (pem(b"one") + b"# between\n\n" + pem(b"two"), [b"one", b"two"]),
        (pem(b"one", end="\r\n") + pem(b"two", end="\r\n"), [b"one", b"two"]),
        (pem(b"k", "PRIVATE KEY") + pem(b"one"), [b"one"]),
        (pem(b"one").rstrip(), [b"one"]),
    ],
)
def test_blocks(text: bytes, found: list[bytes]) -> None:
    assert blocks(text, CERTIFICATE) == found


@pytest.mark.parametrize(
    "text",
    [
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END X509 CRL-----\n",
        b"-----BEGIN CERTIF",
    ],
)
def test_what_is_broken_is_refused(text: bytes) -> None:
    with pytest.raises(IdentityError):
        blocks(text, CERTIFICATE)


@given(st.lists(st.binary(min_size=1, max_size=100), max_size=4))
def test_whatever_is_written_is_read(parts: list[bytes]) -> None:
    assert blocks(b"".join(map(pem, parts)), CERTIFICATE) == parts
    ours = [pem_text(part, CERTIFICATE) for part in parts]
    assert blocks(b"".join(ours), CERTIFICATE) == parts
    assert all(len(line) <= 64 for text in ours for line in text.splitlines())


def test_wherever_it_is_cut_off_is_noticed() -> None:
    """But between two blocks, where nothing tells, and in dashes that might be anything."""
    first, second = pem(b"first" * 20), pem(b"second" * 20)
    for at in range(len(first) + len(b"-----BEGIN"), len(first + second) - 1):
        with pytest.raises(IdentityError):
            blocks((first + second)[:at], CERTIFICATE)


@given(st.binary(max_size=60) | st.text("-BEGIND CRTFAQ\n", max_size=80).map(str.encode))
def test_nothing_else_is_raised(text: bytes) -> None:
    try:
        blocks(text, CERTIFICATE)
    except IdentityError:
        pass
