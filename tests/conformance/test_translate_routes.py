"""Service-to-service routing as Istio does it: which rule speaks for which host, on which port."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from meshproxy.model.snapshot import Snapshot
from tests.support import conformance
from tests.unit.translate.support import Call as SimCall
from tests.unit.translate.support import follow, names, translated

CORPUS = "traffic-sim"
ROUTES = conformance.cases(CORPUS, "routes.yaml")
CASES = conformance.cases(CORPUS, "cases.yaml")
SELF_IP = "1.1.1.1"


def _me(namespace: str, labels: dict[str, str] | None = None) -> str:
    entry = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": {"name": "sim", "namespace": namespace},
        "spec": {"address": SELF_IP, "labels": labels or {}},
    }
    return yaml.safe_dump(entry)


@pytest.mark.parametrize("case", ROUTES)
def test_routes(case: dict[str, Any]) -> None:
    known = yaml.safe_load(conformance.text(CORPUS, "routes.yaml"))["known_services"]
    namespace = case["proxy_namespace"]
    config = yaml.safe_dump_all(case["config_virtualservice"])
    found = translated(known, config, _me(namespace), me=f"{namespace}/sim")
    assert found.snapshot is not None, [str(each) for each in found.errors]
    made = (
        names(found.snapshot, case["route_config"])
        if case["route_config"] in found.snapshot.route_configs
        else None
    )
    if case["expect"] is None:
        assert made is None
        return
    assert made is not None
    for domain, clusters in case["expect"].items():
        assert made.get(domain) == clusters, domain


# Kinds that this build leaves out.
OUT_KINDS = ("Gateway", "Ingress")


def _left_out(case: dict[str, Any]) -> str:
    if case["proxy"]["type"] != "sidecar":
        return "gateways are not done by this build"
    texts = case.get("config", "") + "\n---\n" + case.get("kube", "")
    kinds = {document["kind"] for document in yaml.safe_load_all(texts) if document}
    missing = kinds.intersection(OUT_KINDS)
    return f"not done by this build: {', '.join(sorted(missing))}" if missing else ""


def _call(call: dict[str, Any]) -> SimCall:
    """Protocols that are offered are by default those that Istio's and other clients do offer."""
    tls, protocol = call.get("tls", "plaintext"), call.get("protocol", "tcp")
    offered = call.get("alpn", DEFAULT_ALPN.get((tls, protocol), ""))
    inbound = call.get("mode") == "inbound"
    return SimCall(
        call["port"],
        call.get("address", SELF_IP if inbound else "192.0.2.1"),
        protocol.startswith("http"),
        call.get("host", "nobody.example"),
        call.get("path", "/"),
        sni=call.get("sni", "" if tls == "plaintext" else call.get("host", "")),
        tls=tls,
        alpn=offered,
    )


DEFAULT_ALPN = {
    ("mtls", "http"): "istio-http/1.1",
    ("mtls", "http2"): "istio-h2",
    ("mtls", "tcp"): "istio",
    ("tls", "http"): "http/1.1",
    ("tls", "http2"): "h2",
}


@pytest.mark.parametrize("case", CASES)
def test_calls(case: dict[str, Any]) -> None:
    reason = _left_out(case)
    if reason:
        pytest.skip(reason)
    proxy = case["proxy"]
    namespace = proxy.get("namespace", "default")
    texts = [case.get("config", ""), case.get("kube", ""), _me(namespace, proxy.get("labels"))]
    if "mesh" in case:
        texts.append(yaml.safe_dump({"kind": "MeshConfig", **case["mesh"]}))
    found = translated(*texts, me=f"{namespace}/sim", identity=True)
    assert found.snapshot is not None, [str(each) for each in found.errors]
    for entry in case["calls"]:
        if case["name"].startswith("Loop"):
            continue  # the listener knows its own port; there is nothing to configure
        _judge(found.snapshot, entry)


def _judge(snapshot: Snapshot, entry: dict[str, Any]) -> None:
    expected, call = entry["expect"], _call(entry["call"])
    inbound = entry["call"].get("mode") == "inbound"
    outcome = follow(snapshot, "virtualInbound" if inbound else "virtualOutbound", call)
    label = f"{entry['name']}: {outcome}"
    assert outcome.fault == expected.get("error", ""), label
    if inbound and outcome.clusters:
        assert not snapshot.clusters[outcome.cluster].refusal, label
    if "cluster" in expected:
        assert outcome.cluster == expected["cluster"], label
    if "route" in expected and not inbound:
        assert outcome.route is not None, label
        assert outcome.route.name == expected["route"], label
