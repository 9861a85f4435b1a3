"""Sidecar resources that have no effect where somebody may think that they do."""

from __future__ import annotations

from meshproxy.translate.assembly.catalog import Entry
from meshproxy.translate.assembly.remarks import Remarks
from meshproxy.translate.assembly.scope import Self
from meshproxy.translate.kinds.meta import selects
from meshproxy.translate.kinds.sidecar import Sidecar

# As `istioctl analyze` has them.
_TWO_SELECT = "IST0110"
_TWO_WITHOUT = "IST0111"


def remark_sidecars(
    sidecars: list[Entry[Sidecar]],
    chosen: Entry[Sidecar] | None,
    self_: Self,
    root: str,
    remarks: Remarks,
) -> None:
    """Others of the chosen one's reach, and those of the root namespace with a selector."""
    for entry in sidecars:
        sidecar = entry.value
        if sidecar.meta.namespace == root != self_.namespace and sidecar.selector:
            if selects(sidecar.selector, self_.labels):
                text = "in the root namespace it selects workloads of that namespace alone"
                remarks.warn(entry, ("spec", "workloadSelector"), text, "remove it, for all")
        elif chosen is not None and entry is not chosen and _same_reach(entry, chosen, self_):
            text = f"is set aside for {chosen.value.meta}, which is for the same workload"
            code = _TWO_SELECT if sidecar.selector else _TWO_WITHOUT
            remarks.warn(entry, ("metadata", "name"), text, "keep one of them", code)


def _same_reach(entry: Entry[Sidecar], chosen: Entry[Sidecar], self_: Self) -> bool:
    sidecar, other = entry.value, chosen.value
    return (
        sidecar.meta.namespace == other.meta.namespace
        and bool(sidecar.selector) == bool(other.selector)
        and selects(sidecar.selector, self_.labels)
    )
