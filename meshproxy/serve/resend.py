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
# Times. A server that goes away after so many requests may have others of its connections go, too:
# each is used up by it, so that sending again adds nothing to its load.
_MOST: Final = 3
_MOST_ELSEWHERE: Final = 10


def may_send_again(error: ProxyError, head: RequestHead, record: Record) -> bool:
    """Asked when an attempt has failed before anything of its answer was passed on."""
    retry = error.retry
    safe = retry in (Retry.ALWAYS, Retry.ELSEWHERE) or (
        retry is Retry.IF_SAFE and head.method in IDEMPOTENT and record.reused
    )
    bodiless = head.length == 0 and not head.upgrade
    most = _MOST_ELSEWHERE if retry is Retry.ELSEWHERE else _MOST
    return safe and bodiless and record.attempt_count <= most
