"""A config dump read back: the parts that tables are made of, whoever has written the dump.

Names are in snake case as Envoy writes them; a dump that was stored in camel case is taken too.
"""

from __future__ import annotations

import re
from typing import Any

from meshproxy.show.shape import Json

_UPPER = re.compile(r"(?<=[a-z0-9])([A-Z])")
# Keys below these are names that somebody has given, not fields.
_FREE = frozenset({"filter_metadata", "typed_extension_protocol_options", "labels"})


class Dump:
    """The sections of a dump. Raises ``ValueError`` where the JSON is no config dump."""

    def __init__(self, value: Any) -> None:
        if not isinstance(value, dict) or not isinstance(value.get("configs"), list):
            raise ValueError("this is no config dump: it has no list of configs")
        self._sections: dict[str, Json] = {}
        for section in value["configs"]:
            if isinstance(section, dict):
                name = str(section.get("@type", "")).rpartition(".")[2]
                self._sections[name] = _snake(section)

    def listeners(self) -> list[Json]:
        section = self._section("Listeners")
        found = [
            part.get("active_state", {}).get("listener")
            for part in section.get("dynamic_listeners", [])
        ]
        found += [part.get("listener") for part in section.get("static_listeners", [])]
        return [each for each in found if each]

    def clusters(self) -> list[Json]:
        fields = ("dynamic_active_clusters", "static_clusters")
        return self._parts("Clusters", fields, "cluster")

    def routes(self) -> list[Json]:
        fields = ("dynamic_route_configs", "static_route_configs")
        return self._parts("Routes", fields, "route_config")

    def endpoints(self) -> list[Json]:
        """Load assignments; those that stand in a cluster too, if the dump has none of its own."""
        fields = ("dynamic_endpoint_configs", "static_endpoint_configs")
        found = self._parts("Endpoints", fields, "endpoint_config")
        known = {each.get("cluster_name") for each in found}
        inline = [cluster.get("load_assignment") or {} for cluster in self.clusters()]
        return found + [each for each in inline if each and each.get("cluster_name") not in known]

    def secrets(self) -> list[Json]:
        """Entries with ``name``, and ``secret`` where it is there."""
        section = self._section("Secrets")
        fields = ("dynamic_active_secrets", "dynamic_warming_secrets", "static_secrets")
        return [entry for field in fields for entry in section.get(field, [])]

    def _section(self, name: str) -> Json:
        return self._sections.get(f"{name}ConfigDump", {})

    def _parts(self, section: str, fields: tuple[str, ...], held: str) -> list[Json]:
        found = self._section(section)
        parts = [part for field in fields for part in found.get(field, [])]
        return [part[held] for part in parts if part.get(held)]


def _snake(value: Any) -> Any:
    if isinstance(value, list):
        return [_snake(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, inner in value.items():
        known = _UPPER.sub(r"_\1", name).lower() if name.isalnum() else name
        found[known] = inner if known in _FREE else _snake(inner)
    return found


def origin_of(part: Json) -> Json:
    """The document that a part came from, as `shape.metadata` wrote it."""
    own = part.get("metadata", {}).get("filter_metadata", {}).get("meshproxy", {})
    found = own.get("origin", {}) if isinstance(own, dict) else {}
    return found if isinstance(found, dict) else {}


def origin_text(part: Json) -> str:
    """``mesh.yaml:12 VirtualService default/shop``; ``-`` for what the sidecar has by itself."""
    origin = origin_of(part)
    if not origin:
        return "-"
    who = f" {origin['kind']} {origin['namespace']}/{origin['name']}" if "kind" in origin else ""
    return f"{origin.get('source', '')}{who}"


def istio_config(part: Json, kind: str) -> str:
    """``NAME.NAMESPACE`` of the object that Istio's metadata name, if it is of that kind."""
    istio = part.get("metadata", {}).get("filter_metadata", {}).get("istio", {})
    pieces = str(istio.get("config", "")).split("/")
    # /apis/GROUP/VERSION/namespaces/NAMESPACE/KIND/NAME
    return f"{pieces[7]}.{pieces[5]}" if len(pieces) > 7 and pieces[6] == kind else ""
