"""What becomes of a request that can't be understood, or is too large."""

from __future__ import annotations

from meshproxy.base.errors import Kind, ProxyError, Side
from meshproxy.record import Record
from meshproxy.serve.local import grpc_answer, local_answer
from meshproxy.wire.errors import TooLarge, WireError
from meshproxy.wire.grpc import is_grpc_type
from meshproxy.wire.heads import Headers, RequestHead, ResponseHead


def as_problem(error: WireError) -> ProxyError:
    """What the codec said, as one of the failures that have a place in the one table."""
    kind = Kind.BAD_REQUEST
    if isinstance(error, TooLarge) or error.status == 431:
        kind = Kind.HEADERS_TOO_LARGE
    elif error.status == 408:
        kind = Kind.REQUEST_HEADER_TIMEOUT
    return ProxyError(kind, error.reason, Side.DOWNSTREAM, status=error.status)


def refusal(problem: ProxyError, details: str, record: Record) -> tuple[ResponseHead, bytes]:
    """The answer to a request of HTTP/1 that never became one, with its body; the record is filled
    in.

    ``details`` are the codec's own, which say more than the table for a malformed request.
    """
    record.protocol = "HTTP/1.1"
    record.details = problem.meaning.details
    if problem.kind is Kind.BAD_REQUEST:
        record.details = f"http1.{details}"
    return _answered(local_answer(problem.status, problem.body()), problem, record)


def stream_refusal(
    problem: ProxyError, details: str, headers: Headers, record: Record
) -> tuple[ResponseHead, bytes]:
    """The same of HTTP/2, where what came of the ``headers`` may tell that it was gRPC."""
    record.protocol = "HTTP/2"
    record.details = details
    kind = next((value for name, value in headers if name == b"content-type"), b"")
    answer = local_answer(problem.status, problem.body())
    if is_grpc_type(kind):
        record.grpc_status = problem.meaning.grpc
        answer = grpc_answer(record.grpc_status, problem.body())
    return _answered(answer, problem, record)


def _answered(
    answer: tuple[ResponseHead, bytes], problem: ProxyError, record: Record
) -> tuple[ResponseHead, bytes]:
    record.code, record.flags = answer[0].status, problem.meaning.flag
    record.body_out = len(answer[1])
    return answer


def needs_length(head: ResponseHead, request: RequestHead) -> bool:
    """Whether only a Content-Length can tell the client that an answer has no body."""
    return (
        b"content-length" not in head.fields
        and head.status not in (204, 304)
        and request.method != b"HEAD"
    )
