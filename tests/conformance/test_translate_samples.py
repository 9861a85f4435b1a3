"""Istio's own sample files: all of them load, and the sidecar's do what they say they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from meshproxy.translate import Severity, Translation
from tests.support import conformance
from tests.unit.translate.support import ME, Call, follow, translated

CORPUS = "istio-samples"
SERVICES = "bookinfo/platform/kube/bookinfo.yaml"
_ROOT = conformance.folder(CORPUS)

# What these cases need is not done by this build: gateways, Gateway API, and (for its time alone) a
# fault's delay.
OUT = ("gateway", "gwapi")


def _files() -> list[Any]:
    if _ROOT is None:
        reason = f"no conformance data: {conformance.VARIABLE} names no folder with {CORPUS}"
        return [pytest.param("", id="no-samples", marks=pytest.mark.skip(reason))]
    files = sorted(_ROOT.rglob("*.yaml"))
    return [
        pytest.param(str(file.relative_to(_ROOT)), id=str(file.relative_to(_ROOT)))
        for file in files
        if file.name != "expectations.yaml"
    ]


def _load(*names: str) -> Translation:
    texts = [conformance.text(CORPUS, name) for name in names]
    return translated(*texts, _pods(), ME, me="default/me")


def _pods() -> str:
    """A pod for each version of each service of the sample application."""
    pods = []
    for app, versions in (
        ("reviews", ("v1", "v2", "v3")),
        ("ratings", ("v1", "v2-mysql")),
        ("details", ("v1", "v2")),
        ("productpage", ("v1",)),
    ):
        pods += [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": f"{app}-{version}",
                    "namespace": "default",
                    "labels": {"app": app, "version": version},
                },
                "status": {"podIP": f"10.1.{len(app)}.{at}"},
            }
            for at, version in enumerate(versions)
        ]
    return yaml.safe_dump_all(pods)


@pytest.mark.parametrize("name", _files())
def test_every_file_loads_without_an_error(name: str) -> None:
    found = _load(name)
    assert not found.errors, [str(each) for each in found.errors]
    assert found.snapshot is not None
    for problem in found.problems:
        assert problem.file
        assert problem.line > 0
        assert problem.text


@pytest.mark.parametrize("case", conformance.cases(CORPUS, "expectations.yaml"))
def test_expectations(case: dict[str, Any]) -> None:
    if any(word in case["target"] or word in case["name"] for word in OUT):
        pytest.skip("gateways and Gateway API are not done by this build")
    found = _load(SERVICES, *(name.removeprefix("SHARED:") for name in case["config"]))
    assert found.snapshot is not None, [str(each) for each in found.errors]
    host, _, port = case["target"].partition(":")
    for request in case["requests"]:
        asked, expected = request["request"], request["expect"]
        call = Call(
            int(port), host=host, path=asked.get("path", "/"), headers=asked.get("headers", {})
        )
        outcome = follow(found.snapshot, "virtualOutbound", call)
        total = sum(outcome.clusters.values())
        shares = {
            name.split("|")[2]: 100 * weight / total for name, weight in outcome.clusters.items()
        }
        if "weights" in expected:
            assert shares == expected["weights"]
        for name in outcome.clusters:
            assert found.snapshot.clusters[name].endpoints, name
        # Settings for a port stand instead of the others, not beside them (Istio API): the rule of
        # the case with TLS gives its port no balancing of its own.
        if "lb" in expected and "upstream_tls" not in expected:
            cluster = found.snapshot.clusters[outcome.cluster]
            assert cluster.balance.value == expected["lb"]
            assert len(cluster.endpoints) == 3
        if "route_to" in expected:
            name, _, number = expected["route_to"].partition(":")
            assert outcome.cluster == f"outbound|{number}||{name}"
        if "upstream_tls" in expected:
            tls = found.snapshot.clusters[outcome.cluster].tls
            assert tls is not None
            # The rule gives no name: the one that was asked for is.
            assert (tls.mode.value, tls.sni) == (expected["upstream_tls"], "")


def test_what_is_left_out_is_said() -> None:
    """A fault, a gateway, an unhandled kind: each is a warning with its place."""
    if _ROOT is None:
        pytest.skip(f"no conformance data: {conformance.VARIABLE} names none")
    found = _load(
        SERVICES,
        "bookinfo/networking/destination-rule-all.yaml",
        "bookinfo/networking/virtual-service-ratings-test-delay.yaml",
    )
    said = [each for each in found.problems if each.severity is Severity.WARNING]
    assert [each.field for each in said] == ["spec.http[0].fault"]
    gateway = _load("bookinfo/networking/bookinfo-gateway.yaml")
    assert [origin.kind for origin in gateway.unread] == ["Gateway"]
    assert Path(gateway.unread[0].file).suffix == ".yaml"
