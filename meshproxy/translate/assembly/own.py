"""Which workload this sidecar stands beside, among all that the configuration knows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from meshproxy.base.addr import is_ip
from meshproxy.model.workload import UNKNOWN, Workload
from meshproxy.translate.assembly.scope import Self
from meshproxy.translate.assembly.workloads import Workloads
from meshproxy.translate.kinds.endpoints import Endpoints
from meshproxy.translate.kinds.pod import Pod
from meshproxy.translate.kinds.sidecar import Sidecar
from meshproxy.translate.kinds.workload_entry import WorkloadEntry

_HOW = "name it with --workload NAMESPACE/NAME"


@dataclass(frozen=True, slots=True)
class Own:
    """The workload, and the addresses it is called at. ``fault``: why there is none.

    ``source`` is the object that declares it, where there is one. ``who`` says for the log who it
    is and how that is known.
    """

    workload: Workload = UNKNOWN
    addresses: tuple[str, ...] = ()
    source: Pod | WorkloadEntry | None = None
    fault: str = ""
    mend: str = ""
    warning: str = ""
    who: str = ""

    @property
    def self_(self) -> Self:
        return Self(self.workload.namespace, dict(self.workload.labels))


class OwnFinder:
    """Looks for the own workload: by name if it was given, else by this host's addresses."""

    def __init__(
        self,
        pods: list[Pod],
        entries: list[WorkloadEntry],
        slices: list[Endpoints],
        sidecars: list[Sidecar],
        workloads: Workloads,
    ) -> None:
        self._sidecars = sidecars
        self._slices = slices
        self._candidates: list[tuple[tuple[str, str], Own]] = []
        for pod in pods:
            name = (pod.meta.namespace, pod.meta.name)
            addresses = () if pod.host_network else pod.addresses
            own = Own(workloads.by_pod[name].workload, addresses, pod, who=str(pod.meta))
            self._candidates.append((name, own))
        for entry in entries:
            name = (entry.meta.namespace, entry.meta.name)
            addresses = (entry.address,) if is_ip(entry.address) else ()
            own = Own(workloads.by_entry[name].workload, addresses, entry, who=str(entry.meta))
            self._candidates.append((name, own))

    def named(
        self,
        namespace: str,
        name: str,
        host: frozenset[str],
        how: str = "named by --workload or POD_NAME",
    ) -> Own:
        """A name nobody has is taken at its word: a pod may be known by its address alone."""
        for candidate, own in self._candidates:
            if candidate == (namespace, name):
                return replace(own, who=f"{own.who}, {how}")
        workload = replace(UNKNOWN, name=name, namespace=namespace, canonical_name=name)
        return Own(
            workload,
            tuple(sorted(host)),
            warning=f"the workload {namespace}/{name} is no Pod or WorkloadEntry that is known: "
            "it has no labels",
            who=f"{namespace}/{name}, {how}",
        )

    def here(self, host: frozenset[str]) -> Own:
        """The workload at one of this host's addresses."""
        found = [each for each in self._candidates if host.intersection(each[1].addresses)]
        if len(found) == 1:
            own = found[0][1]
            address = min(host.intersection(own.addresses))
            return replace(own, who=f"{own.who}, which has this host's address {address}")
        if found:
            names = ", ".join("/".join(name) for name, _ in found)
            return Own(fault=f"several workloads are on this host: {names}", mend=_HOW)
        return self._by_endpoint(host) or self._by_sidecar(host)

    def _by_endpoint(self, host: frozenset[str]) -> Own | None:
        """Somebody's endpoint: the pod that is named there, or one of that service's."""
        for each in (each for found in self._slices for each in found.sets):
            for backend in each.backends:
                if backend.address in host:
                    name = backend.pod or each.service
                    how = f"as {each.meta} has this host's address {backend.address}"
                    return self.named(each.meta.namespace, name, frozenset({backend.address}), how)
        return None

    def _by_sidecar(self, host: frozenset[str]) -> Own:
        """Plain ports need no address of their own, only the namespace that names are short in."""
        plain = [
            sidecar
            for sidecar in self._sidecars
            if not all(egress.captured for egress in sidecar.egress)
            or not all(ingress.captured for ingress in sidecar.ingress)
        ]
        if len(plain) == 1:
            labels = tuple(sorted(plain[0].selector.items()))
            workload = replace(UNKNOWN, namespace=plain[0].meta.namespace, labels=labels)
            who = f"a workload of {workload.namespace}, as {plain[0].meta} has plain ports"
            return Own(workload, tuple(sorted(host)), who=who)
        known = ", ".join("/".join(name) for name, _ in self._candidates[:5])
        about = f" (there are {known})" if known else ""
        return Own(
            fault=f"no Pod or WorkloadEntry has an address of this host{about}",
            mend=f"{_HOW}, or add a WorkloadEntry with this host's address",
        )
