"""Whether a request is sent once more: the upstream was going away, and nothing else.

An upstream may close an idle connection while a request is on its way to it. What was certainly not
looked at is sent again, and what went out on a reused connection, of which nothing came back, if it
is safe to send twice. A body would have to have been kept for it, so a request with one is not.
"""

from __future__ import annotations

from typing import Final

from meshproxy.base.errors import ProxyError, Retry
from meshproxy.record import Record
from meshproxy.wire.heads import RequestHead

# RFC 9110 9.2.2: sending these twice has the effect of sending them once.
IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
_MOST: Final = 3


def may_send_again(error: ProxyError, head: RequestHead, record: Record) -> bool:
    """Asked when an attempt has failed before anything of its answer was passed on."""
    safe = error.retry is Retry.ALWAYS or (
        error.retry is Retry.IF_SAFE and head.method in IDEMPOTENT and record.reused
    )
    bodiless = head.length == 0 and not head.upgrade
    return safe and bodiless and record.attempt_count <= _MOST
