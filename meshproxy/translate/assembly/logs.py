"""Which access logs are written: MeshConfig's, unless a Telemetry object says otherwise.

Istio `pilot/pkg/model/telemetry.go`: the root namespace's object, then the namespace's, then the
workload's; the last that names providers says which there are, and each can turn them off again.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshproxy.model.telemetry import AccessLog
from meshproxy.translate.assembly.scope import Self
from meshproxy.translate.kinds.access_log import LogFormat
from meshproxy.translate.kinds.mesh_config import STDOUT, LogProvider, MeshConfig
from meshproxy.translate.kinds.meta import selects
from meshproxy.translate.kinds.telemetry import LogRule, Telemetry

_BUILT_IN = "envoy"  # the provider that every mesh has


def access_logs(
    mesh: MeshConfig, telemetries: Iterable[Telemetry], self_: Self, file: str
) -> tuple[AccessLog, ...]:
    """``file``: where to write if the mesh does not name a file."""
    own_file = mesh.access_log_file or file
    rules = [telemetry.logging for telemetry in _applying(telemetries, self_, mesh.root_namespace)]
    defaults = mesh.log_providers or (_BUILT_IN,)
    if any(rules):
        client = _enabled([[rule for rule in each if rule.client] for each in rules], defaults)
        server = _enabled([[rule for rule in each if rule.server] for each in rules], defaults)
    elif mesh.log_providers or own_file:
        client = server = dict.fromkeys(defaults)
    else:
        return ()
    found = []
    for name in {**client, **server}:
        provider = mesh.providers.get(name)
        if provider is None and name == _BUILT_IN:
            provider = LogProvider(own_file or STDOUT)
        if provider is not None and provider.supported:
            format_ = provider.format or mesh.log_format
            found.append(_log(provider.path, format_, name in client, name in server))
    return tuple(found)


def missing_providers(mesh: MeshConfig, telemetry: Telemetry) -> list[str]:
    """Providers that a Telemetry names and nothing can be written to."""
    named = {name for rule in telemetry.logging for name in rule.providers}
    return sorted(
        name
        for name in named - {_BUILT_IN}
        if name not in mesh.providers or not mesh.providers[name].supported
    )


def _log(path: str, format_: LogFormat, outbound: bool, inbound: bool) -> AccessLog:
    return AccessLog(path, format_.text, format_.json, outbound, inbound)


def _applying(telemetries: Iterable[Telemetry], self_: Self, root: str) -> list[Telemetry]:
    """One for the mesh, one for the namespace, one for the workload: the oldest of each."""
    levels: dict[int, Telemetry] = {}
    for telemetry in telemetries:
        if telemetry.targeted:
            continue
        own = telemetry.meta.namespace
        if telemetry.selector is None and own == root:
            levels.setdefault(0, telemetry)
        elif telemetry.selector is None and own == self_.namespace:
            levels.setdefault(1, telemetry)
        elif own == self_.namespace and selects(telemetry.selector or {}, self_.labels):
            levels.setdefault(2, telemetry)
    return [levels[level] for level in sorted(levels)]


def _enabled(levels: list[list[LogRule]], defaults: tuple[str, ...]) -> dict[str, None]:
    """The providers that are on in the end, in the order they were turned on."""
    in_scope: tuple[str, ...] = defaults
    for level in levels:
        named = tuple(name for rule in level for name in rule.providers)
        in_scope = named or in_scope
    current = defaults
    enabled: dict[str, None] = {}
    for level in levels:
        for rule in level:
            current = rule.providers or current
            for name in current:
                if rule.disabled:
                    enabled.pop(name, None)
                elif name in in_scope:
                    enabled[name] = None
    return enabled
