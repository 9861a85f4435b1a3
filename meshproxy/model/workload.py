"""Who a workload is: what metrics, logs and policies know it by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Workload:
    """Names a workload. The defaults are Istio's words for "not known".

    ``labels`` are sorted pairs. ``canonical_name`` and ``canonical_revision`` follow Istio's order:
    ``service.istio.io/canonical-name``, ``app.kubernetes.io/name``, ``app``, the owner's name; and
    ``service.istio.io/canonical-revision``, ``app.kubernetes.io/version``, ``version``, ``latest``.
    """

    name: str = "unknown"
    namespace: str = "unknown"
    app: str = "unknown"
    version: str = "unknown"
    canonical_name: str = "unknown"
    canonical_revision: str = "latest"
    service_account: str = ""
    cluster_id: str = "unknown"
    labels: tuple[tuple[str, str], ...] = ()


UNKNOWN = Workload()
