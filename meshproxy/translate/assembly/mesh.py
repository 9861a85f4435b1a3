"""What holds for the whole mesh and for this sidecar's own knobs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from meshproxy.model.settings import DEFAULTS, Settings
from meshproxy.translate.assembly.catalog import Catalog, Entry
from meshproxy.translate.assembly.clusters import Defaults
from meshproxy.translate.assembly.scope import Self
from meshproxy.translate.kinds.mesh_config import MeshConfig
from meshproxy.translate.kinds.meta import Meta, selects
from meshproxy.translate.kinds.settings import SettingsObject
from meshproxy.translate.problems import Finding, Problem, Severity

_NONE = MeshConfig(Meta("MeshConfig", "", ""))


@dataclass(frozen=True, slots=True)
class Mesh:
    """The one MeshConfig, and what others were left aside for it."""

    config: MeshConfig
    problems: tuple[Problem, ...] = ()


def choose_mesh(catalog: Catalog) -> Mesh:
    """The last in the order of reading; a mesh has one."""
    entries = catalog.in_order(MeshConfig)
    if not entries:
        return Mesh(_NONE)
    *others, last = entries
    return Mesh(last.value, tuple(_set_aside(other, last) for other in others))


def _set_aside(other: Entry[MeshConfig], chosen: Entry[MeshConfig]) -> Problem:
    document = chosen.document
    text = f"is set aside for the MeshConfig at {document.file}:{document.line}"
    finding = Finding(Severity.WARNING, ("kind",), text, "keep one of them")
    return other.document.problem(finding, str(other.value.meta))


def build_settings(catalog: Catalog, self_: Self, config: MeshConfig) -> Settings:
    """From the widest to the narrowest: MeshConfig, then Settings of the root namespace, of the
    own one, of the workload; the oldest first in each."""
    root = config.root_namespace
    found: list[tuple[int, SettingsObject]] = []
    for entry in catalog.all(SettingsObject):
        settings = entry.value
        own = settings.meta.namespace
        if own in (root, self_.namespace) and selects(settings.selector or {}, self_.labels):
            reach = 2 if settings.selector is not None else int(own == self_.namespace != root)
            found.append((reach, settings))
    result = replace(DEFAULTS, **config.settings)
    for _, settings in sorted(found, key=lambda each: each[0]):
        result = replace(result, **settings.values)
    return result


def defaults_of(config: MeshConfig, settings: Settings) -> Defaults:
    connect = config.connect_timeout
    return Defaults(
        settings.connect_timeout if connect is None else connect,
        settings.upstream_idle_timeout,
        settings.app_idle_timeout,
        config.h2_upgrade,
    )
