"""Rules that send to nobody."""

from __future__ import annotations

from tests.unit.translate.support import ME, problems_of

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, subsets: [{name: stable}]}
"""


def said(destination: str, kind: str = "http") -> list[tuple[str, int, str, str]]:
    text = f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: v}}
spec:
  hosts: [reviews]
  {kind}:
  - route:
    - destination: {destination}
"""
    place = f"spec.{kind}[0].route[0].destination"
    return [
        (each.field.removeprefix(place), each.line, each.text, each.mend)
        for each in problems_of(SERVICE, ME, text)
        if each.file == "2.yaml"
    ]


def test_fine() -> None:
    for destination in (
        "{host: reviews}",
        "{host: reviews.default, subset: stable}",
        "{host: reviews.default.svc.cluster.local, port: {number: 80}}",
    ):
        assert said(destination) == []


def test_an_unknown_host() -> None:
    for kind in ("http", "tcp"):
        ((field, line, text, mend),) = said("{host: reviewz}", kind)
        assert (field, line) == (".host", 9)
        assert "reviewz.default.svc.cluster.local" in text
        assert "503" in text
        assert mend == "did you mean reviews.default.svc.cluster.local?"


def test_an_unknown_subset() -> None:
    ((field, _, text, mend),) = said("{host: reviews, subset: stabel}")
    assert field == ".subset"
    assert "stabel" in text
    assert mend == "did you mean stable?"


def test_an_unknown_port() -> None:
    ((field, _, _, mend),) = said("{host: reviews, port: {number: 81}}")
    assert (field, mend) == (".port", "its ports: 80")
