"""The one table from failures to what they look like."""

from __future__ import annotations

import pytest

from meshproxy.base.errors import TABLE, Kind, ProxyError, Retry, Side


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_meaning(kind: Kind) -> None:
    meaning = TABLE[kind]
    assert meaning.status == 0 or 400 <= meaning.status <= 599
    assert 0 < meaning.grpc <= 16
    assert meaning.flag
    assert " " not in meaning.details


def test_an_error_is_a_value() -> None:
    error = ProxyError(Kind.UPSTREAM_CLOSED, "it went", retry=Retry.IF_SAFE)
    assert (error.status, error.side, error.retry) == (503, Side.UPSTREAM, Retry.IF_SAFE)
    assert error.body().endswith(b"connection termination: it went (UC)")


def test_a_denial_names_no_policy() -> None:
    assert ProxyError(Kind.DENIED, "AuthorizationPolicy a/b").body() == b"RBAC: access denied"


def test_a_finer_status() -> None:
    assert ProxyError(Kind.BAD_REQUEST, "x", status=501).status == 501
