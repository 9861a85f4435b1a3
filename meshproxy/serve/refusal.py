"""What becomes of an HTTP/1 request that can't be understood."""

from __future__ import annotations

from meshproxy.base.errors import Kind, ProxyError, Side
from meshproxy.record import Record
from meshproxy.serve.local import local_answer
from meshproxy.wire.errors import TooLarge, WireError
from meshproxy.wire.heads import RequestHead, ResponseHead


def as_problem(error: WireError) -> ProxyError:
    """What the codec said, as one of the failures that have a place in the one table."""
    kind = Kind.BAD_REQUEST
    if isinstance(error, TooLarge):
        kind = Kind.HEADERS_TOO_LARGE
    elif error.status == 408:
        kind = Kind.REQUEST_HEADER_TIMEOUT
    return ProxyError(kind, error.reason, Side.DOWNSTREAM, status=error.status)


def refusal(problem: ProxyError, details: str, record: Record) -> tuple[ResponseHead, bytes]:
    """The answer to a request that never became one, with its body; the record is filled in.

    ``details`` are the codec's own, which say more than the table for a malformed request.
    """
    record.protocol = "HTTP/1.1"
    record.code, record.flags = problem.status, problem.meaning.flag
    record.details = problem.meaning.details
    if problem.kind is Kind.BAD_REQUEST:
        record.details = f"http1.{details}"
    answer, body = local_answer(problem.status, problem.body())
    record.body_out = len(body)
    return answer, body


def needs_length(head: ResponseHead, request: RequestHead) -> bool:
    """Whether only a Content-Length can tell the client that an answer has no body."""
    return (
        b"content-length" not in head.fields
        and head.status not in (204, 304)
        and request.method != b"HEAD"
    )
