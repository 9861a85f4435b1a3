"""What the admin port shows of a running sidecar, and what a real Envoy makes of the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.peers import ask
from tests.support.servers import App
from tests.support.sidecar import (
    Sidecar,
    config,
    free_port,
    istio,
    me,
    plain,
    route_to,
    run,
    service,
    subsets,
    virtual_service,
    workload,
)

_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


@dataclass(frozen=True)
class Place:
    """A service `shop` with one endpoint that answers and, as `v2`, one that is not there."""

    proxy: Sidecar
    port: int
    app: int

    def get(self, path: str) -> Any:
        answer = self.proxy.get(self.proxy.admin, path)
        assert answer.status == 200, answer.text
        return answer.json if answer.text.startswith("{") else answer.text

    def post(self, path: str) -> str:
        answer = self.proxy.get(self.proxy.admin, path, "POST")
        assert answer.status == 200, answer.text
        return str(answer.text)

    def section(self, name: str, query: str = "") -> Any:
        for each in self.get(f"/config_dump{query}")["configs"]:
            if each["@type"] == f"type.googleapis.com/envoy.admin.v3.{name}ConfigDump":
                return each
        raise AssertionError(f"the dump has no section {name}")

    @property
    def cluster(self) -> str:
        return f"outbound|{self.port}||shop.default.svc.cluster.local"


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    port, gone = free_port(), free_port()
    with App() as app:
        text = config(
            me(),
            service("shop", port),
            workload("shop-1", "shop", {"http": app.port}, "v1"),
            workload("shop-2", "shop", {"http": gone}, "v2"),
            subsets("shop", "v1", "v2"),
            virtual_service(
                "shop",
                {
                    "match": [{"uri": {"prefix": "/gone"}}],
                    "route": [route_to("shop", subset="v2")],
                },
                {
                    "match": [{"uri": {"regex": "/old/.*"}}],
                    "redirect": {"uri": "/new"},
                },
                {
                    "name": "most",
                    "route": [route_to("shop", subset="v1")],
                    "headers": {"request": {"set": {"x-share": "100%%"}}},
                },
            ),
            istio("EnvoyFilter", "tuned", {"configPatches": []}),
            plain([(port, "HTTP")], [(free_port(), "HTTP", app.port)]),
        )
        with Sidecar(text, workers=2) as proxy:
            yield Place(proxy, port, app.port)


def test_the_dump_names_the_document_of_each_part(place: Place) -> None:
    clusters = place.section("Clusters")["dynamic_active_clusters"]
    by_name = {part["cluster"]["name"]: part["cluster"] for part in clusters}
    found = by_name[place.cluster.replace("||", "|v1|")]
    origin = found["metadata"]["filter_metadata"]["meshproxy"]["origin"]
    assert (origin["kind"], origin["namespace"], origin["name"]) == (
        "DestinationRule",
        "default",
        "shop",
    )
    line = place.proxy.config.read_text(encoding="utf-8").splitlines()[origin["line"] - 1]
    assert line.startswith("apiVersion: networking.istio.io")
    assert found["metadata"]["filter_metadata"]["istio"]["config"] == (
        "/apis/networking.istio.io/v1/namespaces/default/destination-rule/shop"
    )
    assert found["type"] == "EDS"


def test_routes_and_listeners_have_envoys_names(place: Place) -> None:
    (listener,) = [
        part["active_state"]["listener"]
        for part in place.section("Listeners")["dynamic_listeners"]
        if part["name"].endswith(f"_{place.port}")
    ]
    (chain,) = listener["filter_chains"]
    manager = chain["filters"][0]
    assert manager["name"] == "envoy.filters.network.http_connection_manager"
    name = manager["typed_config"]["rds"]["route_config_name"]
    (table,) = [
        part["route_config"]
        for part in place.section("Routes")["dynamic_route_configs"]
        if part["route_config"]["name"] == name
    ]
    host = table["virtual_hosts"][0]
    assert "shop.default.svc.cluster.local" in host["domains"]
    gone, old, most = host["routes"]
    assert gone["match"] == {"prefix": "/gone"}
    assert old["match"] == {"safe_regex": {"regex": "/old/.*"}}
    assert old["redirect"] == {"path_redirect": "/new", "response_code": "MOVED_PERMANENTLY"}
    assert most["route"]["cluster"] == place.cluster.replace("||", "|v1|")


def test_endpoints_are_in_the_dump_on_demand(place: Place) -> None:
    assert "EndpointsConfigDump" not in json.dumps(place.get("/config_dump"))
    found = place.section("Endpoints", "?include_eds")["dynamic_endpoint_configs"]
    ports = {
        each["endpoint"]["address"]["socket_address"]["port_value"]
        for part in found
        if part["endpoint_config"]["cluster_name"] == place.cluster
        for each in part["endpoint_config"]["endpoints"][0]["lb_endpoints"]
    }
    assert place.app in ports
    assert len(ports) == 2


def test_parts_of_the_dump(place: Place) -> None:
    found = place.get("/config_dump?resource=dynamic_active_clusters&mask=cluster.name")
    assert {"cluster": {"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
                        "name": place.cluster},
            "@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster",
            } in found["configs"]  # fmt: skip
    assert place.proxy.get(place.proxy.admin, "/config_dump?resource=nothing").status == 404


def test_what_is_not_handled_stands_in_the_dump(place: Place) -> None:
    (found,) = place.get("/config_dump")["source"]["unhandled"]
    assert (found["kind"], found["name"]) == ("EnvoyFilter", "tuned")
    assert "EnvoyFilter is not implemented in this build and has no effect" in place.proxy.log


def test_clusters_count_over_all_workers(place: Place) -> None:
    before = place.get("/clusters")
    start = f"{place.cluster.replace('||', '|v1|')}::127.0.0.1:{place.app}::"
    assert f"{start}health_flags::healthy\n" in before
    assert f"{start}weight::1\n" in before

    def count(name: str, text: str) -> int:
        (line,) = [each for each in text.splitlines() if each.startswith(f"{start}{name}::")]
        return int(line.rpartition("::")[2])

    for _ in range(6):  # each on a connection of its own: both workers take some
        assert ask(place.port, "/", "GET", "shop").status == 200
    assert ask(place.port, "/status?code=500", "GET", "shop").status == 500
    after = place.get("/clusters")
    assert count("rq_total", after) - count("rq_total", before) == 7
    assert count("rq_success", after) - count("rq_success", before) == 6
    assert count("rq_error", after) - count("rq_error", before) == 1
    assert count("rq_active", after) == 0
    assert count("cx_total", after) > count("cx_total", before)


def test_clusters_as_json(place: Place) -> None:
    assert ask(place.port, "/gone", "GET", "shop").status == 503
    statuses = {
        each["name"]: each for each in place.get("/clusters?format=json")["cluster_statuses"]
    }
    (host,) = statuses[place.cluster.replace("||", "|v2|")]["host_statuses"]
    stats = {each["name"]: each.get("value", "0") for each in host["stats"]}
    assert stats["cx_connect_fail"] == stats["cx_total"] == stats["rq_error"] != "0"
    assert host["health_status"] == {"eds_health_status": "HEALTHY"}


def test_listeners(place: Place) -> None:
    assert f"127.0.0.1_{place.port}::127.0.0.1:{place.port}\n" in place.get("/listeners")
    statuses = place.get("/listeners?format=json")["listener_statuses"]
    assert {
        "name": f"127.0.0.1_{place.port}",
        "local_address": {"socket_address": {"address": "127.0.0.1", "port_value": place.port}},
    } in statuses


def test_statistics(place: Place) -> None:
    text = place.get("/stats?filter=^(server.state|listener_manager.workers_started)$")
    assert text == "listener_manager.workers_started: 1\nserver.state: 0\n"
    (total,) = place.get("/stats?filter=^cluster.PassthroughCluster.membership_total$&format=json")[
        "stats"
    ]
    assert total["value"] == 0
    assert "server.state" not in place.get("/stats?usedonly")
    assert "meshproxy_workers 2.0" in place.get("/stats?format=prometheus")
    assert place.proxy.get(place.proxy.admin, "/stats?filter=(").status == 400


def test_levels_of_single_loggers(place: Place) -> None:
    assert "  serve: info\n" in place.post("/logging")
    assert "  serve: debug\n" in place.post("/logging?paths=serve:debug")
    assert "  listen: info\n" in place.post("/logging")
    assert "  serve: info\n" in place.post("/logging?level=info")
    answer = place.proxy.get(place.proxy.admin, "/logging?nonsense=debug", "POST")
    assert (answer.status, "nonsense is no logger" in answer.text) == (400, True)
    shown = run(
        "proxy-config", "log", "--level", "serve:warn", "--admin-port", str(place.proxy.admin)
    )
    assert "  serve: warning\n" in shown.stdout
    place.post("/logging?level=info")


def test_the_other_pages(place: Place) -> None:
    assert place.get("/certs") == {"certificates": []}
    memory = place.get("/memory")
    assert int(memory["allocated"]) == sum(map(int, memory["processes"].values())) > 2**20
    assert len(memory["processes"]) == 3
    assert "  /config_dump: " in place.get("/help")
    node = place.get("/server_info")["node"]
    assert node["id"] == "sidecar~127.0.0.1~me.default~default.svc.cluster.local"


def test_the_tables(place: Place) -> None:
    def table(*arguments: str) -> list[list[str]]:
        done = run("proxy-config", *arguments, "--admin-port", str(place.proxy.admin))
        assert done.returncode == 0, done.stderr
        return [line.split("  ") for line in done.stdout.splitlines()]

    def cells(*arguments: str) -> list[tuple[str, ...]]:
        return [tuple(cell.strip() for cell in row if cell.strip()) for row in table(*arguments)]

    head, *rows = cells("clusters", "--fqdn", "shop", "--subset", "v1")
    assert head == (
        "SERVICE FQDN",
        "PORT",
        "SUBSET",
        "DIRECTION",
        "TYPE",
        "DESTINATION RULE",
        "SOURCE",
    )
    ((*row, source),) = rows
    assert row == ["shop.default.svc.cluster.local", str(place.port), "v1", "outbound", "EDS",
                   "shop.default"]  # fmt: skip
    assert source.endswith("DestinationRule default/shop")
    assert source.startswith(f"{place.proxy.config}:")
    head, *rows = cells("routes")
    assert head == ("NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE", "SOURCE")
    assert {row[3] for row in rows if "shop.default" in row} == {"/gone*", "regex /old/.*", "/*"}
    head, *rows = cells("listeners", "--port", str(place.port))
    assert head == ("ADDRESSES", "PORT", "MATCH", "DESTINATION", "SOURCE")
    ((*row, _),) = rows
    assert row == ["127.0.0.1", str(place.port), "ALL", f"Route: {place.port}"]
    head, *rows = cells("endpoints", "--port", str(place.app), "--direction", "outbound")
    assert head == ("ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER", "SOURCE")
    assert {row[:4] for row in rows} == {
        (f"127.0.0.1:{place.app}", "HEALTHY", "OK", place.cluster),
        (f"127.0.0.1:{place.app}", "HEALTHY", "OK", place.cluster.replace("||", "|v1|")),
    }
    assert {row[4].partition(" ")[2] for row in rows} == {"WorkloadEntry default/shop-1"}


def test_a_stored_dump_gives_the_same_tables(place: Place, tmp_path: Path) -> None:
    stored = tmp_path / "config_dump.json"
    stored.write_text(json.dumps(place.get("/config_dump?include_eds")), encoding="utf-8")
    live = run("proxy-config", "all", "--admin-port", str(place.proxy.admin))
    assert run("proxy-config", "all", "--file", str(stored)).stdout == live.stdout
    assert live.stdout.count("SOURCE") == 4
    whole = run("proxy-config", "all", "--file", str(stored), "-o", "json")
    assert json.loads(whole.stdout) == json.loads(stored.read_text(encoding="utf-8"))


@pytest.mark.peer
def test_a_real_envoy_takes_the_dump_for_its_own(place: Place, tmp_path: Path) -> None:
    envoy = shutil.which("envoy", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert envoy is not None, "the development environment has it"
    file = tmp_path / "bootstrap.json"
    file.write_text(json.dumps(bootstrap(place)), encoding="utf-8")
    done = subprocess.run(
        [envoy, "--mode", "validate", "-c", str(file), "-l", "error"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def bootstrap(place: Place) -> dict[str, Any]:
    """The dump's parts as an Envoy's static configuration; its route tables stand in the chains."""
    clusters = [part["cluster"] for part in place.section("Clusters")["dynamic_active_clusters"]]
    routes = place.section("Routes")["dynamic_route_configs"]
    tables = {part["route_config"]["name"]: part["route_config"] for part in routes}
    listeners = [
        part["active_state"]["listener"] for part in place.section("Listeners")["dynamic_listeners"]
    ]
    for listener in listeners:
        for chain in listener["filter_chains"]:
            for network in chain["filters"]:
                named = network["typed_config"].pop("rds", None)
                if named is not None:
                    table = without_type(tables[named["route_config_name"]])
                    network["typed_config"]["route_config"] = table
    xds = {
        "name": "xds",
        "type": "STATIC",
        "typed_extension_protocol_options": {
            _OPTIONS: {
                "@type": f"type.googleapis.com/{_OPTIONS}",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
    }
    source = {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
    }
    return {
        "node": place.section("Bootstrap")["bootstrap"]["node"],
        "dynamic_resources": {"ads_config": source},
        "static_resources": {
            "clusters": [*map(without_type, clusters), xds],
            "listeners": [*map(without_type, listeners)],
        },
    }


def without_type(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "@type"}
