"""Problems that only show once objects are put together, said of the object that can mend them."""

from __future__ import annotations

from typing import Any

from meshproxy.model.origin import Origin
from meshproxy.translate.assembly.catalog import Catalog, Entry
from meshproxy.translate.assembly.same_host import SetAside
from meshproxy.translate.assembly.services import MeshService
from meshproxy.translate.kinds.service import Service
from meshproxy.translate.kinds.service_entry import ServiceEntry
from meshproxy.translate.problems import Finding, Path, Problem, Severity


class Remarks:
    """Collects them."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.problems: list[Problem] = []

    def warn(
        self, entry: Entry[Any], path: Path, text: str, mend: str = "", code: str = ""
    ) -> None:
        finding = Finding(Severity.WARNING, path, text, mend, code)
        self.problems.append(entry.document.problem(finding, str(entry.value.meta)))

    def at(self, origin: Origin, text: str, mend: str = "") -> None:
        """Of a whole object, by its place."""
        subject = f"{origin.kind} {origin.namespace}/{origin.name}"
        place = (origin.file, origin.line, "")
        self.problems.append(Problem(Severity.WARNING, *place, text, mend, subject))

    def service(self, service: MeshService, port: int, text: str, mend: str = "") -> None:
        """Of a service's port."""
        at = next((at for at, each in enumerate(service.ports) if each.number == port), 0)
        self.of(service, ("spec", "ports", at), text, mend)

    def of(
        self, service: MeshService, path: Path, text: str, mend: str = "", code: str = ""
    ) -> None:
        """Of the object that declares a service."""
        kind = ServiceEntry if service.origin.kind == "ServiceEntry" else Service
        entry: Entry[Any] | None = self._catalog.get(kind, service.namespace, service.origin.name)
        if entry is not None:
            self.warn(entry, path, text, mend, code)

    def set_aside(self, found: SetAside) -> None:
        """Of a host that several declare."""
        service, chosen = found.service, found.chosen.origin
        owner = f"{chosen.kind} {chosen.namespace}/{chosen.name}"
        if found.port:
            text = f"{service.host} has port {found.port} with another protocol in {owner}"
            mend = "make them the same, or remove one of them"
        else:
            text = f"{service.host} is already that of {owner}: here it has no effect"
            mend = "use another host, or exportTo that keeps them apart"
        self.of(service, ("spec", "hosts"), text, mend, found.code)

    def workload(self, severity: Severity, text: str, mend: str = "") -> None:
        """Of the workload, which no file has named."""
        self.problems.append(Problem(severity, "", 0, "", text, mend))
