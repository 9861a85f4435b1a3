"""The tables of ``istioctl proxy-config``: its columns and words, and one column more.

Istio `istioctl/pkg/writer/envoy/configdump`. The last column, SOURCE, names the document that each
part came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from meshproxy.show.listeners import HTTP_FILTER, TCP_FILTER
from meshproxy.show.reading import Dump, istio_config, origin_of, origin_text
from meshproxy.show.routes import PASSTHROUGH
from meshproxy.show.shape import Json

Row = tuple[str, ...]
_NEVER = "-"
_SHOWN_DOMAINS = 2


class Wanted(NamedTuple):
    """What a table is narrowed down to; empty and 0 mean "not asked"."""

    fqdn: str = ""
    port: int = 0
    subset: str = ""
    direction: str = ""
    name: str = ""
    address: str = ""
    type: str = ""
    cluster: str = ""
    status: str = ""


class Table(NamedTuple):
    """``parts`` gives the messages of a dump that are asked for, ``rows`` what is said of one."""

    head: Row
    parts: Callable[[Dump, Wanted], list[Json]]
    rows: Callable[[Json, Wanted], Iterable[Row]]


def table(kind: Table, dump: Dump, wanted: Wanted) -> str:
    """A table as text, columns parted by spaces."""
    rows = [row for part in kind.parts(dump, wanted) for row in kind.rows(part, wanted)]
    return columns([kind.head, *rows])


def columns(rows: list[Row]) -> str:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = (
        "     ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "".join(line.rstrip() + "\n" for line in lines)


# Clusters.


def subset_key(name: str) -> tuple[str, str, str, str]:
    """Direction, port, subset and host of ``outbound|80|v1|HOST``; of others the name as host."""
    parts = name.split("|")
    return (parts[0], parts[1], parts[2], parts[3]) if len(parts) > 3 else ("", "", "", name)


def _sort_key(name: str) -> tuple[str, str, int, str]:
    direction, port, subset, host = subset_key(name)
    return (host, subset, int(port) if port.isdigit() else 0, direction)


def _named(name: str, wanted: Wanted) -> bool:
    """Istio's filter of clusters, but the port is compared whole."""
    direction, port, subset, host = subset_key(name)
    return (
        wanted.fqdn in host
        and (not wanted.direction or direction == wanted.direction.lower())
        and (not wanted.subset or subset == wanted.subset)
        and (not wanted.port or port == str(wanted.port))
    )


def _clusters(dump: Dump, wanted: Wanted) -> list[Json]:
    found = [cluster for cluster in dump.clusters() if _named(cluster["name"], wanted)]
    return sorted(found, key=lambda cluster: _sort_key(cluster["name"]))


def _cluster_rows(cluster: Json, wanted: Wanted) -> Iterable[Row]:
    direction, port, subset, host = subset_key(cluster["name"])
    rule = istio_config(cluster, "destination-rule")
    kind = cluster.get("type", "STATIC")
    yield (
        host,
        port or _NEVER,
        subset or _NEVER,
        direction or _NEVER,
        kind,
        rule,
        origin_text(cluster),
    )


# Listeners.


def _listeners(dump: Dump, wanted: Wanted) -> list[Json]:
    found = [each for each in dump.listeners() if _is_listener(each, wanted)]
    return sorted(found, key=lambda each: (_port(each), _address(each)))


def _is_listener(listener: Json, wanted: Wanted) -> bool:
    ports = {_port(listener)} | {
        chain.get("filter_chain_match", {}).get("destination_port", 0)
        for chain in _chains(listener)
    }
    direction = listener.get("traffic_direction", "").lower()
    return (
        (not wanted.port or wanted.port in ports)
        and (not wanted.address or wanted.address in _address(listener).split(","))
        and (not wanted.name or wanted.name == listener.get("name"))
        and (not wanted.direction or wanted.direction.lower() == direction)
        and (not wanted.type or wanted.type.upper() == _type(listener))
    )


def _chains(listener: Json) -> list[Json]:
    last = listener.get("default_filter_chain")
    return [*listener.get("filter_chains", []), *([last] if last else [])]


def _socket(holder: Json) -> Json:
    found = holder.get("address", {}).get("socket_address", {})
    return found if isinstance(found, dict) else {}


def _address(listener: Json) -> str:
    every = [listener, *listener.get("additional_addresses", [])]
    return ",".join(str(_socket(each).get("address", "")) for each in every)


def _port(listener: Json) -> int:
    return int(_socket(listener).get("port_value", 0))


def _type(listener: Json) -> str:
    names = {filter_["name"] for chain in _chains(listener) for filter_ in chain.get("filters", [])}
    words = [word for word, name in (("HTTP", HTTP_FILTER), ("TCP", TCP_FILTER)) if name in names]
    return "+".join(words) or "UNKNOWN"


def _listener_rows(listener: Json, wanted: Wanted) -> Iterable[Row]:
    for chain in _chains(listener):
        port = chain.get("filter_chain_match", {}).get("destination_port", 0)
        if wanted.port and wanted.port not in (port, _port(listener)):
            continue
        yield (
            _address(listener),
            str(_port(listener)),
            _chain_match(chain.get("filter_chain_match", {})),
            _chain_destination(chain),
            origin_text(chain if origin_text(chain) != _NEVER else listener),
        )


def _chain_match(match: Json) -> str:
    said = []
    if names := match.get("server_names"):
        said.append(f"SNI: {','.join(names)}")
    if transport := match.get("transport_protocol"):
        said.append(f"Trans: {transport}")
    if protocols := match.get("application_protocols"):
        said.append(f"App: {','.join(protocols)}")
    port = f":{match['destination_port']}" if "destination_port" in match else ""
    if ranges := match.get("prefix_ranges"):
        shown = ",".join(f"{each['address_prefix']}/{each['prefix_len']}" for each in ranges)
        said.append(f"Addr: {shown}{port}")
    elif port:
        said.append(f"Addr: *{port}")
    return "; ".join(said) or "ALL"


def _chain_destination(chain: Json) -> str:
    for filter_ in chain.get("filters", []):
        config = filter_.get("typed_config", {})
        if filter_["name"] == HTTP_FILTER:
            if "rds" in config:
                return f"Route: {config['rds']['route_config_name']}"
            return _inline(config.get("route_config", {}))
        if filter_["name"] == TCP_FILTER:
            arms = config.get("weighted_clusters", {}).get("clusters", [])
            names = [config["cluster"]] if "cluster" in config else [arm["name"] for arm in arms]
            return ", ".join(map(_cluster_word, names))
    return "Non-HTTP/Non-TCP"


def _cluster_word(name: str) -> str:
    return name if "Cluster" in name else f"Cluster: {name}"


def _inline(table_: Json) -> str:
    """A table that sends all to one cluster is called by that."""
    hosts = table_.get("virtual_hosts", [])
    if (
        len(hosts) == 1
        and hosts[0].get("domains") == ["*"]
        and len(hosts[0].get("routes", [])) == 1
    ):
        (route,) = hosts[0]["routes"]
        cluster = route.get("route", {}).get("cluster")
        if cluster and route.get("match", {}).get("prefix") == "/":
            return _cluster_word(cluster)
    said = []
    for host in hosts:
        domains = "" if host.get("domains") == ["*"] else "/".join(host.get("domains", [])) + " "
        said.append(domains + ", ".join(_route_match(r.get("match", {})) for r in host["routes"]))
    return f"Inline Route: {'; '.join(said)}"


# Routes.


def _routes(dump: Dump, wanted: Wanted) -> list[Json]:
    found = [each for each in dump.routes() if wanted.name in ("", each["name"])]
    return sorted(found, key=lambda each: _route_key(each["name"]))


def _route_key(name: str) -> tuple[bool, int, str]:
    """Ports by number, then all other names."""
    return (not name.isdigit(), int(name) if name.isdigit() else 0, name)


def _route_rows(table_: Json, wanted: Wanted) -> Iterable[Row]:
    for host in table_.get("virtual_hosts", []):
        domains = host.get("domains", [])
        if wanted.fqdn and not any(wanted.fqdn in domain for domain in domains):
            continue
        start = (table_["name"], host.get("name", ""), _domains(domains))
        routes = host.get("routes", [])
        if not routes:
            yield (*start, "/*", "404", origin_text(host))
        for route in routes:
            if route.get("route", {}).get("cluster") == PASSTHROUGH:
                continue
            match = _route_match(route.get("match", {}))
            origin = route if origin_text(route) != _NEVER else host
            rule = istio_config(route, "virtual-service")
            yield (*start, match, rule, origin_text(origin))


def _domains(domains: list[str]) -> str:
    shown = ", ".join(domains[:_SHOWN_DOMAINS])
    more = len(domains) - _SHOWN_DOMAINS
    return f"{shown} + {more} more..." if more > 0 else shown


def _route_match(match: Json) -> str:
    said = []
    if prefix := match.get("prefix"):
        said.append(f"{prefix}*")
    if path := match.get("path_separated_prefix"):
        said.append(f"PathPrefix:{path}")
    if path := match.get("path"):
        said.append(path)
    if pattern := match.get("safe_regex"):
        said.append(f"regex {pattern['regex']}")
    return " ".join(said)


# Endpoints.


def _endpoints(dump: Dump, wanted: Wanted) -> list[Json]:
    """With a cluster's metadata: what declares its endpoints may be the same document."""
    origins = {cluster["name"]: cluster.get("metadata", {}) for cluster in dump.clusters()}
    found = []
    for each in dump.endpoints():
        name = each["cluster_name"]
        if _named(name, wanted._replace(port=0)) and wanted.cluster in ("", name):
            found.append({**each, "metadata": origins.get(name, {})})
    return sorted(found, key=lambda each: _sort_key(each["cluster_name"]))


def _endpoint_rows(assignment: Json, wanted: Wanted) -> Iterable[Row]:
    for group in assignment.get("endpoints", []):
        for each in group.get("lb_endpoints", []):
            place = _socket(each.get("endpoint", {}))
            status = each.get("health_status", "HEALTHY")
            if (
                (wanted.port and wanted.port != place.get("port_value"))
                or (wanted.address and wanted.address != place.get("address"))
                or (wanted.status and wanted.status.upper() != status)
            ):
                continue
            name = f"{place.get('address', '')}:{place.get('port_value', '')}"
            source = origin_text(each if origin_of(each) else assignment)
            yield (name, status, "OK", assignment["cluster_name"], source)


CLUSTERS = Table(
    ("SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE", "SOURCE"),
    _clusters,
    _cluster_rows,
)
LISTENERS = Table(
    ("ADDRESSES", "PORT", "MATCH", "DESTINATION", "SOURCE"), _listeners, _listener_rows
)
ROUTES = Table(
    ("NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE", "SOURCE"), _routes, _route_rows
)
ENDPOINTS = Table(
    ("ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER", "SOURCE"), _endpoints, _endpoint_rows
)
