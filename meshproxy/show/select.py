"""Parts of a config dump: Envoy's ``resource``, ``mask`` and ``name_regex``.

Envoy, "Administration interface", ``/config_dump?resource={}``, ``?mask={}``, ``?name_regex={}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from meshproxy.base.regex import full_match
from meshproxy.show.shape import Json

_TYPE = "@type"
# Where a part's own name stands, by the field that holds it.
_HOLDERS = ("cluster", "listener", "route_config", "endpoint_config")


class NotThere(Exception):
    """What was asked for is not in the dump. ``status`` is the HTTP status that Envoy answers."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def select(configs: list[Json], query: Mapping[str, str]) -> list[Json]:
    """The sections, or the parts of one, that a query asks for. Raises `NotThere`."""
    if pattern := query.get("name_regex"):
        try:
            named = full_match(pattern)
        except ValueError as error:
            raise NotThere(f"name_regex: {error}", 400) from None
        configs = [_named(section, named) for section in configs]
    if resource := query.get("resource"):
        configs = _resource(configs, resource)
    if mask := query.get("mask"):
        paths = [path.split(".") for path in mask.split(",") if path]
        configs = [kept for each in configs if (kept := _masked(each, paths)).keys() - {_TYPE}]
    return configs


def _named(section: Json, named: Callable[[bytes], bool]) -> Json:
    """A section with those parts alone whose name matches."""
    return {
        field: [part for part in value if named(part_name(part).encode())]
        if isinstance(value, list)
        else value
        for field, value in section.items()
    }


def part_name(part: Json) -> str:
    """The name of a listener, cluster, route table or set of endpoints in the dump."""
    held = part.get("active_state", part)
    for holder in _HOLDERS:
        if holder in held:
            value = held[holder]
            return str(value.get("name") or value.get("cluster_name") or "")
    return str(part.get("name", ""))


def _resource(configs: list[Json], name: str) -> list[Json]:
    """The elements of one repeated field, each as a message of its own."""
    for section in configs:
        if name not in section or name == _TYPE:
            continue
        if not isinstance(section[name], list):
            raise NotThere(f"{name} is not a list of resources: use ?mask={name}", 400)
        return [{_TYPE: _part_type(section[_TYPE], name), **part} for part in section[name]]
    raise NotThere(f"{name} not found in config dump", 404)


def _part_type(section: str, field: str) -> str:
    """``ListenersConfigDump``, ``dynamic_listeners`` → ``ListenersConfigDump.DynamicListener``.

    Envoy names all clusters' parts by ``DynamicCluster``, whatever their state.
    """
    word = "".join(part.capitalize() for part in field.removesuffix("s").split("_"))
    word = word.replace("DynamicActiveCluster", "DynamicCluster")
    return f"{section}.{word}"


def _masked(value: Any, paths: list[list[str]]) -> Any:
    """A message with those fields alone (google.protobuf.FieldMask; lists are looked into)."""
    if isinstance(value, list):
        return [_masked(each, paths) for each in value]
    if not isinstance(value, dict):
        return value
    found: Json = {_TYPE: value[_TYPE]} if _TYPE in value else {}
    for name, inner in value.items():
        deeper = [path[1:] for path in paths if path[0] == name]
        if any(not path for path in deeper):
            found[name] = inner
        elif deeper:
            found[name] = _masked(inner, deeper)
    return found
