"""Problems that only show once objects are put together, said of the object that can mend them."""

from __future__ import annotations

from typing import Any

from meshproxy.translate.assembly.catalog import Catalog, Entry
from meshproxy.translate.assembly.services import MeshService
from meshproxy.translate.kinds.service import Service
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

    def service(self, service: MeshService, port: int, text: str, mend: str = "") -> None:
        """Of a service's port."""
        entry = self._catalog.get(Service, service.namespace, service.name.name)
        if entry is None:
            return
        at = next((at for at, each in enumerate(service.ports) if each.number == port), 0)
        self.warn(entry, ("spec", "ports", at), text, mend)

    def workload(self, severity: Severity, text: str, mend: str = "") -> None:
        """Of the workload, which no file has named."""
        self.problems.append(Problem(severity, "", 0, "", text, mend))
