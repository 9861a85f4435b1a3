"""A real Envoy, told in its own language what a VirtualService says.

The translation is Istio's (`pilot/pkg/networking/core/route/route.go`), for what the tests compare:
one host a VirtualService, destinations by subset. It knows nothing of our own translation.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.machine.tools import find_envoy
from tests.support.peers import LOCAL, Peer, wait_until
from tests.support.sidecar import free_port

Json = dict[str, Any]
_TYPES = "type.googleapis.com/envoy.extensions."
_CORS = "envoy.filters.http.cors"
PATIENCE = 30.0


def program() -> str | None:
    """Where Envoy is; None where it is not."""
    path = find_envoy()
    return path if path is not None and Path(path).is_file() else None


class EnvoyProcess:
    """An Envoy that runs while the block does; it is there once ``port`` is listened on."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.folder = Path(tempfile.mkdtemp(prefix="envoy-"))
        self._config = self.folder / "envoy.json"
        self._popen: subprocess.Popen[bytes] | None = None

    def configure(self, bootstrap: Json) -> None:
        """Before it is started."""
        self._config.write_text(json.dumps(bootstrap, indent=1))

    def __enter__(self) -> Self:
        path = program()
        assert path is not None
        command = [path, "-c", str(self._config), "--concurrency", "1", "-l", "error"]
        command += ["--disable-hot-restart", "--file-flush-interval-msec", "20"]
        log = self.folder / "log"
        with log.open("wb") as out:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.folder,
            )
        try:
            wait_until(self._listens, PATIENCE)
        except BaseException as error:
            error.add_note(log.read_text(encoding="utf-8", errors="replace"))
            self._stop()
            raise
        return self

    def _listens(self) -> bool:
        assert self._popen is not None
        assert self._popen.poll() is None, "envoy has ended"
        with contextlib.suppress(OSError), Peer.connect(self.port):
            return True
        return False

    def _stop(self) -> None:
        assert self._popen is not None
        self._popen.terminate()
        self._popen.wait(PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()


class Envoy(EnvoyProcess):
    """One listener that does what VirtualServices say."""

    def __init__(self, rules: Iterable[Mapping[str, Any]], clusters: Mapping[str, int]) -> None:
        """``rules`` are VirtualServices, of ``http`` or of ``tls`` routes; ``clusters`` are
        subsets' ports on this host."""
        super().__init__(free_port())
        self.configure(bootstrap(self.port, rules, clusters))


def bootstrap(port: int, rules: Iterable[Mapping[str, Any]], clusters: Mapping[str, int]) -> Json:
    rules = list(rules)
    chains = [
        {"filter_chain_match": {"server_names": names}, "filters": [_tcp(entry["route"])]}
        for rule in rules
        for entry in rule["spec"].get("tls", [])
        for names in [[name for match in entry["match"] for name in match["sniHosts"]]]
    ]
    inspector = _TYPES + "filters.listener.tls_inspector.v3.TlsInspector"
    tls = {
        "filter_chains": chains,
        "listener_filters": [
            {"name": "envoy.filters.listener.tls_inspector", "typed_config": {"@type": inspector}}
        ],
    }
    hosts = [_host(rule) for rule in rules if "http" in rule["spec"]]
    http = {"filter_chains": [{"filters": [_manager(hosts)]}]}
    listener = {"name": "outbound", "address": _address(port), **(tls if chains else http)}
    return {
        "static_resources": {
            "listeners": [listener],
            "clusters": [_cluster(name, number) for name, number in clusters.items()],
        }
    }


def _tcp(arms: Iterable[Mapping[str, Any]]) -> Json:
    (only,) = arms
    config = {
        "@type": _TYPES + "filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "outbound",
        "cluster": only["destination"]["subset"],
    }
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": config}


def _manager(hosts: list[Json]) -> Json:
    routes = {"name": "80", "virtual_hosts": hosts, "ignore_port_in_host_matching": True}
    config = {
        "@type": _TYPES + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "outbound",
        "codec_type": "AUTO",
        "use_remote_address": False,
        "generate_request_id": True,
        "normalize_path": True,
        "route_config": routes,
        "http_filters": [
            {
                "name": _CORS,
                "typed_config": {"@type": _TYPES + "filters.http.cors.v3.Cors"},
            },
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": _TYPES + "filters.http.router.v3.Router"},
            },
        ],
    }
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": config}


def _cluster(name: str, port: int) -> Json:
    endpoint = {"endpoint": {"address": _address(port)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _address(port: int) -> Json:
    return {"socket_address": {"address": LOCAL, "port_value": port}}


def _host(rule: Mapping[str, Any]) -> Json:
    spec = rule["spec"]
    routes = [_route(entry, match) for entry in spec["http"] for match in entry.get("match", [{}])]
    return {
        "name": spec["hosts"][0],
        "domains": spec["hosts"],
        "include_request_attempt_count": True,
        "routes": routes,
    }


def _route(entry: Mapping[str, Any], match: Mapping[str, Any]) -> Json:
    route: Json = {"match": _match(match)}
    operations = _operations(entry.get("headers", {}))
    if "redirect" in entry:
        route["redirect"] = _redirect(entry["redirect"])
    elif "directResponse" in entry:
        direct = entry["directResponse"]
        route["direct_response"] = {"status": direct["status"]}
        if "body" in direct:
            route["direct_response"]["body"] = {"inline_string": direct["body"]["string"]}
    else:
        route["route"] = _action(entry, operations)
    if "corsPolicy" in entry:
        route["typed_per_filter_config"] = {_CORS: _cors(entry["corsPolicy"])}
    return {**route, **operations}


def _match(match: Mapping[str, Any]) -> Json:
    path = match.get("uri", {"prefix": "/"})
    ((kind, value),) = path.items()
    found: Json = {
        "exact": {"path": value},
        "prefix": {"prefix": value},
        "regex": {"safe_regex": {"regex": value}},
    }[kind]
    headers = [_named(name, wanted) for name, wanted in match.get("headers", {}).items()]
    for name, wanted in match.get("withoutHeaders", {}).items():
        inverted = {**_named(name, wanted), "invert_match": True}
        if "present_match" not in inverted:
            inverted["treat_missing_header_as_empty"] = True
        headers.append(inverted)
    headers += [
        _named(f":{name}", match[name])
        for name in ("method", "authority", "scheme")
        if name in match
    ]
    query = [_named(name, wanted) for name, wanted in match.get("queryParams", {}).items()]
    return {
        **found,
        "case_sensitive": not match.get("ignoreUriCase", False),
        "headers": headers,
        "query_parameters": query,
    }


def _named(name: str, wanted: Mapping[str, str]) -> Json:
    if not wanted or wanted.get("regex") == "*":
        return {"name": name, "present_match": True}
    return {"name": name, "string_match": _string(wanted)}


def _string(wanted: Mapping[str, str]) -> Json:
    ((kind, value),) = wanted.items()
    return {"safe_regex": {"regex": value}} if kind == "regex" else {kind: value}


def _redirect(redirect: Mapping[str, Any]) -> Json:
    codes = {
        301: "MOVED_PERMANENTLY",
        302: "FOUND",
        303: "SEE_OTHER",
        307: "TEMPORARY_REDIRECT",
        308: "PERMANENT_REDIRECT",
    }
    names = {
        "uri": "path_redirect",
        "prefixRewrite": "prefix_rewrite",
        "authority": "host_redirect",
        "scheme": "scheme_redirect",
        "port": "port_redirect",
    }
    found = {new: redirect[old] for old, new in names.items() if old in redirect}
    return {**found, "response_code": codes[redirect.get("redirectCode", 301)]}


def _action(entry: Mapping[str, Any], operations: Json) -> Json:
    action: Json = {"timeout": entry.get("timeout", "0s")}
    rewrite = entry.get("rewrite", {})
    if "uri" in rewrite:
        action["prefix_rewrite"] = rewrite["uri"]
    if "uriRegexRewrite" in rewrite:
        regex = rewrite["uriRegexRewrite"]
        action["regex_rewrite"] = {
            "pattern": {"regex": regex["match"]},
            "substitution": regex["rewrite"],
        }
    if "authority" in rewrite:
        action["host_rewrite_literal"] = rewrite["authority"]
    arms = entry["route"]
    if len(arms) == 1:
        action["cluster"] = arms[0]["destination"]["subset"]
        for name, values in _operations(arms[0].get("headers", {})).items():
            operations[name] = operations.get(name, []) + values
        return action
    action["weighted_clusters"] = {
        "clusters": [
            {
                "name": arm["destination"]["subset"],
                "weight": arm["weight"],
                **_operations(arm.get("headers", {})),
            }
            for arm in arms
            if arm["weight"]
        ]
    }
    return action


def _operations(headers: Mapping[str, Any]) -> Json:
    found: Json = {}
    for side in ("request", "response"):
        given = headers.get(side, {})
        added = [
            {"header": {"key": key, "value": value}, "append_action": action}
            for name, action in (
                ("set", "OVERWRITE_IF_EXISTS_OR_ADD"),
                ("add", "APPEND_IF_EXISTS_OR_ADD"),
            )
            for key, value in sorted(given.get(name, {}).items())
        ]
        if added:
            found[f"{side}_headers_to_add"] = added
        if "remove" in given:
            found[f"{side}_headers_to_remove"] = list(given["remove"])
    return found


def _cors(policy: Mapping[str, Any]) -> Json:
    found = {
        "@type": _TYPES + "filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [_string(each) for each in policy.get("allowOrigins", [])],
        "allow_methods": ",".join(policy.get("allowMethods", [])),
        "allow_headers": ",".join(policy.get("allowHeaders", [])),
        "expose_headers": ",".join(policy.get("exposeHeaders", [])),
        "filter_enabled": {"default_value": {"numerator": 100, "denominator": "HUNDRED"}},
        "forward_not_matching_preflights": policy.get("unmatchedPreflights") != "IGNORE",
    }
    if "maxAge" in policy:
        found["max_age"] = policy["maxAge"].removesuffix("s")
    if "allowCredentials" in policy:
        found["allow_credentials"] = policy["allowCredentials"]
    return found
