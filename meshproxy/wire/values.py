"""What matchers ask a request head for: its path, its scheme, its headers."""

from __future__ import annotations

from collections.abc import Callable

from meshproxy.wire.heads import HTTP2, RequestHead


def path_only(target: bytes) -> bytes:
    """The path without its query."""
    end = target.find(b"?")
    return target if end < 0 else target[:end]


def scheme_of(head: RequestHead) -> bytes:
    """The scheme that was asked for; an HTTP/1 request that names none is of its caller's.

    Envoy takes it from ``x-forwarded-proto`` there, which a caller behind TLS has set.
    """
    if head.scheme == b"http" and head.version != HTTP2:
        forwarded = head.fields.get(b"x-forwarded-proto")
        if forwarded in _SCHEMES:
            return forwarded
    return head.scheme


_SCHEMES = (b"http", b"https")
PSEUDO: dict[str, Callable[[RequestHead], bytes]] = {
    ":method": lambda head: head.method,
    ":path": lambda head: head.path,
    ":authority": lambda head: head.authority,
    ":scheme": scheme_of,
    "host": lambda head: head.authority,  # HTTP/2 has it in :authority alone
}


def header_values(head: RequestHead, name: str) -> list[bytes]:
    """The values of a header or pseudo-header, each as it came.

    A repeated header matches where one of its values does, as Envoy 1.40 has it; older ones took
    all of them as one text with commas.
    """
    pseudo = PSEUDO.get(name)
    if pseudo is not None:
        return [pseudo(head)]
    key = name.encode()
    joined = head.fields.get(key)
    if joined is None:
        return []
    if b"," not in joined:
        return [joined]
    return [value for found, value in head.headers if found.lower() == key] or [joined]
