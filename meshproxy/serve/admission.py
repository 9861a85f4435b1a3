"""Whether a request or a connection may go on, asked before anything else is done with it."""

from __future__ import annotations

from meshproxy.base.errors import Kind, ProxyError, Side
from meshproxy.plan.plan import ChainPlan
from meshproxy.policy.judge import Denial
from meshproxy.record import Record
from meshproxy.serve.serving import Serving
from meshproxy.wire.heads import RequestHead


def admit(serving: Serving, chain: ChainPlan, record: Record, head: RequestHead) -> None:
    """Give the path its one spelling, and ask the policies. Raises `ProxyError`."""
    if chain.deny:
        raise ProxyError(Kind.DENIED, chain.deny, Side.US)
    path = head.path
    normal = chain.normalize_path(path)
    if normal is not path and head.method != b"CONNECT":
        if normal is None:
            raise ProxyError(Kind.BAD_PATH, side=Side.DOWNSTREAM)
        head.path = record.path = normal
    if chain.authorize_http is not None:
        denial = chain.authorize_http(record, head)
        if record.shadows:
            _count_shadows(serving, record)
        if denial is not None:
            raise _refusal(serving, denial, "http")


def admit_tcp(serving: Serving, chain: ChainPlan, record: Record) -> None:
    """Raises `ProxyError`, with the reason in the record."""
    if chain.deny:
        record.termination = chain.deny
        raise ProxyError(Kind.DENIED, chain.deny, Side.US)
    if chain.authorize_tcp is not None:
        denial = chain.authorize_tcp(record)
        if record.shadows:
            _count_shadows(serving, record)
        if denial is not None:
            record.termination = denial.reason
            raise _refusal(serving, denial, "tcp")


def _refusal(serving: Serving, denial: Denial, protocol: str) -> ProxyError:
    serving.count("meshproxy_authorization_denied_total", denial.policy, denial.rule, protocol)
    return ProxyError(Kind.DENIED, denial.reason, Side.US, details=denial.details)


def _count_shadows(serving: Serving, record: Record) -> None:
    for shadow in record.shadows:
        labels = (shadow.action, shadow.result, shadow.policy, shadow.rule)
        serving.count("meshproxy_authorization_shadow_total", *labels)
