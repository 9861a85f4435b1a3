"""Certificates, keys and roots, and what names them. They are no part of the snapshot: that is
shown by the admin API, and a key must never be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class SecretRef(NamedTuple):
    """Which secret is meant: files by their paths, or a Kubernetes Secret by ``NAMESPACE/NAME``.

    All empty: the workload's own certificate, key and roots (``--certs``).
    """

    certificate: str = ""
    key: str = ""
    roots: str = ""
    crl: str = ""
    credential: str = ""


WORKLOAD = SecretRef()


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """PEM texts; ``certificate`` is a chain with the leaf first. What is empty is not there.

    ``identity`` is the leaf's SPIFFE ID, times are seconds since the epoch. ``ends`` are the
    moments at which anything in it stops being valid: a certificate, a root, a revocation list.
    """

    certificate: bytes = b""
    key: bytes = b""
    roots: bytes = b""
    crl: bytes = b""
    identity: str = ""
    not_before: float = 0.0
    not_after: float = 0.0
    ends: tuple[float, ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        return f"Secret({self.identity or 'no identity'})"
