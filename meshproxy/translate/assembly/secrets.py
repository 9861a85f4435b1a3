"""The Secrets that DestinationRules name, for this workload.

They are looked for in the workload's own namespace. Roots may stand in a Secret of their own,
``NAME-cacert`` (Istio).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from meshproxy.model.cluster import Cluster
from meshproxy.model.secret import Secret, SecretRef
from meshproxy.model.tls import TlsMode
from meshproxy.translate.assembly.catalog import Catalog
from meshproxy.translate.assembly.references import UNKNOWN_REFERENCE
from meshproxy.translate.assembly.remarks import Remarks
from meshproxy.translate.kinds.client_tls import ClientTls
from meshproxy.translate.kinds.destination_rule import DestinationRule
from meshproxy.translate.kinds.secret import SecretObject
from meshproxy.translate.kinds.traffic_policy import TrafficPolicy

_ROOTS = "-cacert"
_ANSWER = "requests are answered 503"


def used_secrets(
    clusters: Iterable[Cluster], catalog: Catalog, remarks: Remarks
) -> dict[SecretRef, Secret]:
    """Those that clusters need; a warning for each rule that names one which is missing."""
    found: dict[SecretRef, Secret] = {}
    faults: dict[tuple[str, str], str] = {}
    for cluster in clusters:
        if cluster.tls is None or not cluster.tls.secret.credential:
            continue
        ref = cluster.tls.secret
        namespace, _, name = ref.credential.partition("/")
        secret = found.get(ref) or _find(catalog, namespace, name)
        if secret is None:
            fault = f"there is no Secret {ref.credential}"
        else:
            found[ref] = secret
            if cluster.tls.mode is TlsMode.SIMPLE or (secret.certificate and secret.key):
                continue
            fault = f"the Secret {ref.credential} has no certificate with a key"
        faults[cluster.origin.namespace, name] = fault
    if faults:
        _remark(faults, catalog, remarks)
    return found


def _find(catalog: Catalog, namespace: str, name: str) -> Secret | None:
    own = catalog.get(SecretObject, namespace, name)
    roots = catalog.get(SecretObject, namespace, name + _ROOTS)
    if own is None:
        return None if roots is None else roots.value.secret
    if roots is None:
        return own.value.secret
    apart = roots.value.secret
    return replace(own.value.secret, roots=apart.roots, crl=apart.crl)


def _remark(faults: dict[tuple[str, str], str], catalog: Catalog, remarks: Remarks) -> None:
    for entry in catalog.all(DestinationRule):
        for tls in _settings(entry.value):
            fault = faults.get((entry.value.meta.namespace, tls.credential))
            if fault:
                path = (*tls.path, "credentialName")
                mend = "it belongs in the namespace of the caller"
                remarks.warn(entry, path, f"{fault}: {_ANSWER}", mend, UNKNOWN_REFERENCE)


def _settings(rule: DestinationRule) -> Iterator[ClientTls]:
    yield from _of(rule.policy)
    for subset in rule.subsets:
        yield from _of(subset.policy)


def _of(policy: TrafficPolicy) -> Iterator[ClientTls]:
    if policy.tls is not None:
        yield policy.tls
    for port in policy.ports.values():
        yield from _of(port)
