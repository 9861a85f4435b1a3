"""The dump as a whole: its sections, parts of it, and the tables that are made of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meshproxy.show import tables
from meshproxy.show.dump import Facts, configs
from meshproxy.show.hosts import Counts, clusters_status, clusters_text, merge_hosts
from meshproxy.show.reading import Dump
from meshproxy.show.select import NotThere, select
from meshproxy.show.stats import Server, statistics
from meshproxy.show.tables import Wanted, table
from tests.unit.translate.sample import SAMPLE
from tests.unit.translate.support import translated

SNAPSHOT = translated(SAMPLE).snapshot
assert SNAPSHOT is not None
FACTS = Facts("meshproxy/1.0", "3", "2024-01-01T00:00:00.000Z")
CONFIGS = configs(SNAPSHOT, FACTS, endpoints=True)
REVIEWS = "outbound|9080||reviews.default.svc.cluster.local"


def test_sections() -> None:
    names = [section["@type"].rpartition(".")[2].removesuffix("ConfigDump") for section in CONFIGS]
    assert names == ["Bootstrap", "Clusters", "Endpoints", "Listeners", "Routes", "Secrets"]
    without = configs(SNAPSHOT, FACTS)  # type: ignore[arg-type]
    assert len(without) == len(CONFIGS) - 1


def test_every_part_of_the_model_is_in_it() -> None:
    assert SNAPSHOT is not None
    text = json.dumps(CONFIGS)
    for part in (SNAPSHOT.listeners, SNAPSHOT.route_configs, SNAPSHOT.clusters):
        for name in part:
            assert json.dumps(name) in text
    for host in SNAPSHOT.hosts.values():
        for domain in host.domains:
            assert json.dumps(domain) in text


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"resource": "dynamic_listeners"}, 4),
        ({"resource": "dynamic_listeners", "name_regex": "virtual.*"}, 2),
        ({"resource": "dynamic_active_clusters", "name_regex": ".*v1.*"}, 3),
        ({"mask": "bootstrap.node.id"}, 1),
        ({"name_regex": "none"}, 6),
    ],
)
def test_parts(query: dict[str, str], names: int) -> None:
    assert len(select(CONFIGS, query)) == names


def test_a_mask_leaves_what_it_names() -> None:
    (found,) = select(CONFIGS, {"mask": "bootstrap.node.id,bootstrap.nothing"})
    assert found == {
        "@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump",
        "bootstrap": {"node": {"id": CONFIGS[0]["bootstrap"]["node"]["id"]}},
    }


@pytest.mark.parametrize(
    ("query", "status"),
    [({"resource": "x"}, 404), ({"resource": "bootstrap"}, 400), ({"name_regex": "("}, 400)],
)
def test_what_is_not_there(query: dict[str, str], status: int) -> None:
    with pytest.raises(NotThere) as error:
        select(CONFIGS, query)
    assert error.value.status == status


def rows(kind: tables.Table, value: Any = None, **wanted: Any) -> list[list[str]]:
    dump = Dump({"configs": CONFIGS if value is None else value})
    lines = table(kind, dump, Wanted(**wanted)).splitlines()[1:]
    return [[cell.strip() for cell in line.split("     ") if cell.strip()] for line in lines]


def camel(value: Any) -> Any:
    """As protobuf's JSON is written elsewhere."""
    if isinstance(value, list):
        return [camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, inner in value.items():
        first, *rest = name.split("_")
        kept = name in ("filter_metadata", "typed_extension_protocol_options")
        new = first + "".join(word.capitalize() for word in rest)
        found[new] = inner if kept else camel(inner)
    return found


@pytest.mark.parametrize(
    "kind", [tables.CLUSTERS, tables.LISTENERS, tables.ROUTES, tables.ENDPOINTS]
)
def test_a_dump_in_camel_case_is_read_too(kind: tables.Table) -> None:
    assert rows(kind, camel(CONFIGS)) == rows(kind)


@pytest.mark.parametrize(
    ("kind", "wanted", "count"),
    [
        (tables.CLUSTERS, {}, 15),
        (tables.CLUSTERS, {"fqdn": "reviews"}, 9),
        (tables.CLUSTERS, {"fqdn": "reviews", "port": 9080}, 3),
        (tables.CLUSTERS, {"port": 908}, 0),
        (tables.CLUSTERS, {"direction": "inbound"}, 2),
        (tables.CLUSTERS, {"subset": "v1"}, 3),
        (tables.LISTENERS, {"type": "HTTP"}, 1),
        (tables.LISTENERS, {"name": "virtualInbound"}, 3),
        (tables.LISTENERS, {"port": 9080}, 2),
        (tables.LISTENERS, {"direction": "inbound", "address": "10.0.0.1"}, 1),
        (tables.ROUTES, {"name": "7070"}, 2),
        (tables.ROUTES, {"fqdn": "bookinfo"}, 12),
        (tables.ENDPOINTS, {"address": "10.1.0.1", "port": 5432}, 2),
        (tables.ENDPOINTS, {"cluster": REVIEWS}, 1),
        (tables.ENDPOINTS, {"status": "unhealthy"}, 0),
    ],
)
def test_filters(kind: tables.Table, wanted: dict[str, Any], count: int) -> None:
    assert len(rows(kind, **wanted)) == count


@pytest.mark.parametrize("value", [[], {}, {"configs": 1}, "x"])
def test_what_is_no_dump(value: Any) -> None:
    with pytest.raises(ValueError, match="no config dump"):
        Dump(value)


KEY = (REVIEWS, "10.1.0.1", 8080)
ONE = Counts(1, 2, 3, 4, 5, 6, 7, 8)


def test_counts_of_several_workers() -> None:
    assert merge_hosts([{KEY: ONE}, {KEY: tuple(ONE)}, {}]) == {
        KEY: Counts(2, 4, 6, 8, 10, 12, 14, 16)
    }


def test_clusters_as_text_and_json() -> None:
    assert SNAPSHOT is not None
    strange = ("PassthroughCluster", "192.0.2.1", 443)
    counts = {KEY: ONE, strange: ONE}
    text = clusters_text(SNAPSHOT, counts)
    assert f"{REVIEWS}::10.1.0.1:8080::rq_total::8\n" in text
    assert "PassthroughCluster::192.0.2.1:443::cx_active::1\n" in text
    found = {
        each["name"]: each["host_statuses"]
        for each in clusters_status(SNAPSHOT, counts)["cluster_statuses"]
        if "host_statuses" in each
    }
    (host,) = found[REVIEWS]
    assert {"name": "cx_active", "type": "GAUGE", "value": "1"} in host["stats"]
    assert {"name": "rq_error", "value": "5"} in host["stats"]
    assert "PassthroughCluster" in found


def test_statistics_add_up_by_cluster() -> None:
    server = Server("LIVE", 5, 2, 2, 1, 0, 1)
    other = (REVIEWS, "10.1.0.2", 8080)
    found = statistics(server, SNAPSHOT, {KEY: ONE, other: ONE}, {("a_total", ("x", "y")): 4})
    assert found[f"cluster.{REVIEWS}.upstream_rq_total"] == 16
    assert found["a_total.x.y"] == 4
    assert list(found) == sorted(found)
