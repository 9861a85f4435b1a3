"""Istio `TrafficPolicy`: how a destination is balanced over, dialled and kept connections to.

A policy is kept in the groups that Istio replaces as wholes: a subset or a port that has a
``connectionPool`` of its own inherits nothing of its service's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

from meshproxy.base.addr import is_ip
from meshproxy.model.cluster import Balance, Keepalive
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.client_tls import ClientTls, read_client_tls
from meshproxy.translate.kinds.common import LEAST_DURATION
from meshproxy.translate.kinds.load_balancer import read_load_balancer
from meshproxy.translate.names import host_fault

GROUPS = ("loadBalancer", "connectionPool", "outlierDetection", "tls")
_MORE = ("portLevelSettings", "tunnel", "proxyProtocol", "retryBudget")
_INT32 = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Pool:
    """``h2_upgrade``: whether HTTP/1.1 goes on in HTTP/2; None: as MeshConfig has it.
    ``client_protocol``: requests go on in the HTTP that they came in.
    """

    connect_timeout: float | None = None
    idle_timeout: float | None = None
    keepalive: Keepalive | None = None
    h2_upgrade: bool | None = None
    client_protocol: bool = False


@dataclass(frozen=True, slots=True)
class TrafficPolicy:
    """None: the group is not given. ``ports`` are policies of single ports.

    ``proxy_protocol`` is its version, 0 where it is not given; single ports have none (Istio).
    """

    balance: Balance | None = None
    pool: Pool | None = None
    tls: ClientTls | None = None
    proxy_protocol: int = 0
    ports: Mapping[int, TrafficPolicy] = field(default_factory=dict)


NO_POLICY = TrafficPolicy()


def read_traffic_policy(fields: Fields) -> TrafficPolicy:
    if not any(fields.has(name) for name in (*GROUPS, *_MORE)):
        fields.report.error(fields.path, "a traffic policy must say something", "remove it")
    ports = {}
    for entry in fields.mappings("portLevelSettings"):
        port, policy = _read_port(entry)
        ports[port] = policy
    policy = _read_groups(fields)
    fields.read("tunnel", _check_tunnel)
    proxy_protocol = _read_proxy_protocol(fields) if fields.has("proxyProtocol") else 0
    fields.read("retryBudget", _check_budget)
    fields.later("tunnel", "retryBudget")
    if fields.has("tunnel") and fields.has("proxyProtocol"):
        fields.error("tunnel", "tunnel and proxyProtocol can't both be set", "remove one")
    fields.close()
    return TrafficPolicy(policy.balance, policy.pool, policy.tls, proxy_protocol, ports)


def _read_proxy_protocol(fields: Fields) -> int:
    inner = fields.mapping("proxyProtocol")
    version = inner.choice("version", ("V1", "V2"), "V1")  # Istio's default
    inner.close()
    return 2 if version == "V2" else 1


def _read_port(entry: Fields) -> tuple[int, TrafficPolicy]:
    number = 0
    if entry.has("port"):
        inner = entry.mapping("port")
        number = inner.port("number")
        inner.close()
    else:
        entry.error("port", "is required", "say which: port: {number: 80}")
    if not any(entry.has(name) for name in GROUPS):
        entry.report.error(entry.path, "a port's policy must say something", "remove it")
    policy = _read_groups(entry)
    entry.close()
    return number, policy


def _read_groups(fields: Fields) -> TrafficPolicy:
    balance = pool = tls = None
    outlier = fields.has("outlierDetection")
    if fields.has("loadBalancer"):
        balance = read_load_balancer(fields.mapping("loadBalancer"), outlier)
    if fields.has("connectionPool"):
        pool = read_pool(fields.mapping("connectionPool"))
    if fields.has("tls"):
        tls = read_client_tls(fields.mapping("tls"))
    fields.read("outlierDetection", _check_outlier)
    fields.later("outlierDetection")
    return TrafficPolicy(balance, pool, tls)


def read_pool(fields: Fields) -> Pool:
    """``connectionPool``; limits are checked and not yet acted on.

    Times of keep-alive probes are whole seconds to the system: they are rounded up.
    """
    if not fields.has("http") and not fields.has("tcp"):
        fields.report.error(fields.path, "a connection pool must have http or tcp", "remove it")
    tcp, http = fields.mapping("tcp"), fields.mapping("http")
    connect = tcp.duration("connectTimeout", None, LEAST_DURATION)
    idle = http.duration("idleTimeout", None, LEAST_DURATION)
    keepalive = _keepalive(tcp.mapping("tcpKeepalive")) if tcp.has("tcpKeepalive") else None
    _check_tcp(tcp)
    upgrade, as_client = _read_http(http)
    for inner in (tcp, http, fields):
        inner.close()
    return Pool(connect, idle, keepalive, upgrade, as_client)


def _check_tcp(tcp: Fields) -> None:
    tcp.integer("maxConnections", 0, 0, _INT32)
    tcp.duration("maxConnectionDuration", None, LEAST_DURATION)
    idle = tcp.duration("idleTimeout")  # 0: none (Istio)
    tcp.duration("idleTimeout", None, LEAST_DURATION if idle else 0.0)
    tcp.later("maxConnections", "maxConnectionDuration", "idleTimeout")


def _keepalive(fields: Fields) -> Keepalive:
    found = Keepalive(
        _bounded(fields, "probes", fields.integer("probes"), _MOST_PROBES),
        _bounded(fields, "time", _seconds(fields, "time"), _LONGEST_PROBE_TIME),
        _bounded(fields, "interval", _seconds(fields, "interval"), _LONGEST_PROBE_TIME),
    )
    fields.close()
    return found


_MOST_PROBES, _LONGEST_PROBE_TIME = 127, 32767  # Linux: MAX_TCP_KEEPCNT, MAX_TCP_KEEPIDLE


def _seconds(fields: Fields, name: str) -> int:
    return ceil(fields.duration(name, None, LEAST_DURATION) or 0)


def _bounded(fields: Fields, name: str, value: int, most: int) -> int:
    if value <= most:
        return value
    fields.warn(name, f"{value} is more than the system can do: {most}", f"at most {most}")
    return most


_HTTP_LIMITS = (
    "http1MaxPendingRequests",
    "http2MaxRequests",
    "maxRequestsPerConnection",
    "maxRetries",
    "maxConcurrentStreams",
)


def _read_http(http: Fields) -> tuple[bool | None, bool]:
    """`h2UpgradePolicy` and `useClientProtocol`."""
    for name in _HTTP_LIMITS:
        http.integer(name, 0, 0, _INT32)
    policy = http.choice("h2UpgradePolicy", ("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"))
    as_client = http.flag("useClientProtocol")
    if as_client and policy == "UPGRADE":
        http.error("useClientProtocol", "can't be set with h2UpgradePolicy: UPGRADE", "remove one")
    http.read("http2KeepAlive", _check_h2_keepalive)
    http.later(*_HTTP_LIMITS, "http2KeepAlive")
    return {"UPGRADE": True, "DO_NOT_UPGRADE": False}.get(policy), as_client


def _check_h2_keepalive(fields: Fields) -> None:
    for name in ("interval", "timeout"):
        if not fields.has(name):
            fields.error(name, "is required")
        fields.duration(name, None, LEAST_DURATION)


def _check_outlier(fields: Fields) -> None:
    fields.duration("baseEjectionTime", None, LEAST_DURATION)
    fields.duration("interval", None, LEAST_DURATION)
    for name in ("maxEjectionPercent", "minHealthPercent"):
        fields.integer(name, 0, 0, 100)
    for name in ("consecutive5xxErrors", "consecutiveGatewayErrors"):
        fields.integer(name)
    local = fields.integer("consecutiveLocalOriginFailures")
    split = fields.flag("splitExternalLocalOriginErrors")
    if local and not split:
        fields.error(
            "consecutiveLocalOriginFailures",
            "counts nothing without splitExternalLocalOriginErrors: true",
        )
    if fields.integer("consecutiveErrors", 0, -_INT32, _INT32):
        fields.warn("consecutiveErrors", "is an old field", "use consecutive5xxErrors")
    for at, code in enumerate(fields.items("outlierDetectionHttpErrorCodes")):
        if isinstance(code, bool) or not isinstance(code, int) or not 100 <= code <= 599:
            path = (*fields.at("outlierDetectionHttpErrorCodes"), at)
            fields.report.error(path, f"{code!r} is not an HTTP status")


def _check_tunnel(fields: Fields) -> None:
    fields.choice("protocol", ("CONNECT", "POST"))
    host = fields.required("targetHost")
    if host and not is_ip(host) and (fault := host_fault(host)):
        fields.error("targetHost", fault)
    if not fields.port("targetPort") and not fields.has("targetPort"):
        fields.error("targetPort", "is required")


def _check_budget(fields: Fields) -> None:
    if not 0 <= fields.number("percent") <= 100:
        fields.error("percent", "is not in 0-100")
    fields.integer("minRetryConcurrency")
    fields.duration("budgetInterval")
