"""What the own Pod's annotation says of this sidecar, before MeshConfig's ``defaultConfig``, field
by field (Istio, `ProxyConfig`)."""

from __future__ import annotations

from dataclasses import replace

from meshproxy.translate.assembly.catalog import Catalog, Entry
from meshproxy.translate.assembly.own import Own
from meshproxy.translate.assembly.remarks import Remarks
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.mesh_config import MeshConfig
from meshproxy.translate.kinds.pod import Pod
from meshproxy.translate.kinds.proxy_config import read_proxy_config
from meshproxy.translate.problems import Report
from meshproxy.translate.yaml_text import BrokenText, load

ANNOTATION = "proxy.istio.io/config"
_PATH = ("metadata", "annotations", ANNOTATION)


def with_own_config(config: MeshConfig, catalog: Catalog, own: Own, remarks: Remarks) -> MeshConfig:
    """The MeshConfig as it is for this sidecar."""
    entry = _own_pod(catalog, own)
    text = "" if entry is None else entry.value.meta.annotations.get(ANNOTATION, "")
    if entry is None or not text:
        return config
    report = Report()
    said = read_proxy_config(Fields(_read(text, report), _PATH, report))
    for finding in report.findings:
        remarks.problems.append(entry.document.problem(finding, str(entry.value.meta)))
    return replace(
        config,
        settings={**config.settings, **said.settings},
        client_cert=said.client_cert(config.client_cert),
    )


def _own_pod(catalog: Catalog, own: Own) -> Entry[Pod] | None:
    for entry in catalog.all(Pod):
        pod = entry.value
        here = not pod.host_network and set(pod.addresses).intersection(own.addresses)
        if here and pod.meta.namespace == own.workload.namespace:
            return entry
    return None


def _read(text: str, report: Report) -> dict[str, object]:
    try:
        loaded = load(text)
    except BrokenText as error:
        report.error(_PATH, f"line {error.line + 1} of it: {error.text}", error.mend)
        return {}
    value = loaded[0].value if loaded else {}
    if not isinstance(value, dict):
        report.error(_PATH, "must be a mapping")
        return {}
    return value
