"""``networking.istio.io`` VirtualService."""

from __future__ import annotations

from dataclasses import dataclass

from meshproxy.base.addr import is_ip
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.common import MESH_GATEWAY, check_gateways, read_export_to
from meshproxy.translate.kinds.http_route import HttpRoute, read_http_route
from meshproxy.translate.kinds.l4_route import L4Route, read_tcp_route, read_tls_route
from meshproxy.translate.kinds.meta import Meta
from meshproxy.translate.kinds.unreachable import warn_unreachable
from meshproxy.translate.names import host_fault, overlaps


@dataclass(frozen=True, slots=True)
class VirtualService:
    """``hosts`` are in lower case and as written: short names are resolved by namespace later."""

    meta: Meta
    hosts: tuple[str, ...]
    gateways: tuple[str, ...]
    export_to: tuple[str, ...]
    http: tuple[HttpRoute, ...]
    tcp: tuple[L4Route, ...]
    tls: tuple[L4Route, ...]

    @property
    def for_mesh(self) -> bool:
        """Whether sidecars follow it (and not gateways alone)."""
        return not self.gateways or MESH_GATEWAY in self.gateways


def read_virtual_service(top: Fields, meta: Meta) -> VirtualService:
    fields = top.mapping("spec")
    hosts = tuple(host.lower() for host in fields.texts("hosts"))
    gateways = check_gateways(fields)
    for_mesh = not gateways or MESH_GATEWAY in gateways
    http = tuple(read_http_route(route, not hosts) for route in fields.mappings("http"))
    tcp = tuple(read_tcp_route(route) for route in fields.mappings("tcp"))
    tls = tuple(read_tls_route(route, hosts) for route in fields.mappings("tls"))
    if not (http or tcp or tls):
        fields.error("http", "has no routes", "add http, tcp or tls")
    if hosts:
        _check_hosts(fields, hosts, for_mesh)
    else:
        _check_delegate(fields)
    if for_mesh:
        _check_claims(fields, http)
    warn_unreachable(fields, "http", [route.matches for route in http])
    warn_unreachable(fields, "tcp", [route.matches for route in tcp])
    warn_unreachable(fields, "tls", [route.matches for route in tls])
    service = VirtualService(meta, hosts, gateways, read_export_to(fields, meta), http, tcp, tls)
    fields.close()
    return service


def _check_hosts(fields: Fields, hosts: tuple[str, ...], for_mesh: bool) -> None:
    sound = True
    for at, host in enumerate(hosts):
        path = (*fields.at("hosts"), at)
        if is_ip(host):
            continue
        fault = host_fault(host, wildcard=True)
        if host == "*" and for_mesh:
            fault = "'*' would take all of the mesh's traffic"
        if fault:
            fields.report.error(path, fault, "name a service or a host, or *.DOMAIN")
            sound = False
    if not sound:
        return
    for at, host in enumerate(hosts):
        for other in hosts[:at]:
            if overlaps(other, host):
                fields.report.error(
                    (*fields.at("hosts"), at), f"{host} falls under {other}", "remove one of them"
                )


def _check_delegate(fields: Fields) -> None:
    """Without hosts it is for another VirtualService to delegate to."""
    for name in ("gateways", "tls", "tcp"):
        if fields.raw(name):
            fields.error(name, "a delegate (it has no hosts) can't have this", "add hosts")


def _check_claims(fields: Fields, http: tuple[HttpRoute, ...]) -> None:
    for at, route in enumerate(http):
        for index, match in enumerate(route.matches):
            for claim in match.claims:
                fields.report.error(
                    (*fields.at("http"), at, "match", index, "headers", claim),
                    "JWT claims are matched at gateways alone",
                    "use an AuthorizationPolicy",
                )
