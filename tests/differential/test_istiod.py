"""Where calls go in random meshes, beside what istiod's own code makes of the same documents.

    make test-istiod PYTEST_ARGS="-k 'seed and 17'"

The judge (`istiod/judge_test.go`) is built from Istio's module, which takes some ten minutes of
processor time once. Each seed is a hundred meshes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshproxy.model.snapshot import Snapshot
from tests.support import meshes
from tests.support.meshes import NAMESPACES, OWN, OWN_IP, Mesh, random_mesh
from tests.unit.translate import support

HERE = Path(__file__).parent / "istiod"
MESHES = 100
BUILD = 3600.0  # seconds, on a small machine that has nothing of it yet
# Nobody gets in either way; who says so first is a matter of how layers are drawn.
REFUSED = {
    "no filter chains matched",
    "protocol error",
    "invalid TLS",
    "invalid mTLS",
    "no-filter-chain",
    "protocol-error",
    "mtls-error",
}
Weights = dict[str, int]


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no go to build the judge with")
    made = tmp_path_factory.mktemp("judge") / "judge"
    command = [go, "test", "-c", "-o", str(made), "."]
    done = subprocess.run(
        command, cwd=HERE, capture_output=True, text=True, timeout=BUILD, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return made


def judged(judge: Path, folder: Path, cases: list[Mesh]) -> list[dict[str, Any]]:
    """What istiod makes of each mesh."""
    answers = folder / "answers"
    place = {"Name": OWN, "Namespace": "default", "IP": OWN_IP, "Labels": {"app": OWN}}
    asked = [
        {
            "Istio": case.istio,
            "Kubernetes": case.kubernetes,
            "Mesh": yaml.safe_dump(case.config),
            "Calls": [asdict(call) for call in case.calls],
            **place,
        }
        for case in cases
    ]
    subprocess.run(
        [str(judge), "-test.run", "TestJudge"],
        input="\n".join(map(json.dumps, asked)),
        env={**os.environ, "JUDGE_ANSWERS": str(answers)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]


@pytest.mark.istiod
@pytest.mark.timeout(BUILD)
@pytest.mark.parametrize("seed", range(10))
def test_calls_go_where_istio_sends_them(judge: Path, tmp_path: Path, seed: int) -> None:
    numbers = range(seed * MESHES, (seed + 1) * MESHES)
    cases = [random_mesh(number) for number in numbers]
    compared = 0
    for number, case, answer in zip(numbers, cases, judged(judge, tmp_path, cases), strict=True):
        config = yaml.safe_dump({"kind": "MeshConfig", **case.config})
        found = support.translated(
            case.kubernetes, case.istio, config, me=f"default/{OWN}", identity=True
        )
        about = f"mesh {number}"
        if answer["Refused"]:
            assert found.errors, f"{about}: Istio refuses it: {answer['Refused'][:300]}"
            continue
        assert found.snapshot is not None, f"{about}: {[str(each) for each in found.errors]}"
        compare(about, case, found.snapshot, answer)
        compared += 1
    assert compared > MESHES * 0.8


def compare(about: str, case: Mesh, snapshot: Snapshot, answer: dict[str, Any]) -> None:
    endpoints: dict[str, list[str]] = answer["Endpoints"]
    for call, outcome in zip(case.calls, answer["Outcomes"], strict=True):
        theirs, ours = their_end(outcome), our_end(snapshot, call)
        if not undecided(outcome, theirs, endpoints):
            assert ours == theirs, f"{about}: {call}"
    for name, expected in endpoints.items():
        cluster = snapshot.clusters.get(name)
        if not name.startswith("outbound|") or cluster is None:
            continue  # that calls lead to the same ones was seen above
        known = {
            f"{each.name or each.address.ip}:{each.address.port} x{each.weight}"
            for each in cluster.endpoints
        }
        assert known == set(expected) or not expected, f"{about}: {name}"


def their_end(outcome: dict[str, Any]) -> str | Weights:
    error: str = outcome["Error"]
    if error:
        return "refused" if error in REFUSED else error
    return shares(outcome["Clusters"]) or str(outcome["VirtualHost"])


def our_end(snapshot: Snapshot, call: meshes.Call) -> str | Weights:
    http = call.protocol != "tcp"
    alpn = {"mtls": "istio", "tls": "http/1.1" if http else ""}.get(call.tls, "")
    asked = support.Call(
        call.port, call.address, http, call.host, call.path, sni=call.sni, tls=call.tls, alpn=alpn
    )
    listener = "virtualOutbound" if call.mode == "outbound" else "virtualInbound"
    end = support.follow(snapshot, listener, asked)
    if end.fault:
        return "refused" if end.fault in REFUSED else end.fault
    if not end.clusters:
        return "no route matched"
    return "block_all" if "block_all" in end.clusters else shares(end.clusters)


def shares(clusters: Weights) -> Weights:
    """In per cent: one arm of 100 and one of 1 are the same."""
    whole = sum(clusters.values())
    return {name: round(weight * 100 / whole) for name, weight in clusters.items() if weight}


def undecided(
    outcome: dict[str, Any], theirs: str | Weights, endpoints: dict[str, list[str]]
) -> bool:
    """Where Istio answers 503 or 404 to what it could have served, nobody relies on that.

    A cluster that it routes to and does not make; a port without a declared protocol that it calls
    at an address, when several services have that port.
    """
    if isinstance(theirs, str):
        return theirs == "no virtual host matched" and ":" in outcome["RouteConfig"]
    return any(name.startswith("outbound|") and name not in endpoints for name in theirs)


def test_the_meshes_hold_what_they_should() -> None:
    """Or nothing would be compared."""
    text = "".join(f"{each.istio}{each.kubernetes}" for each in map(random_mesh, range(60)))
    kinds = ("Service", "ServiceEntry", "WorkloadEntry", "VirtualService", "DestinationRule")
    for word in (*kinds, "Sidecar", "PeerAuthentication", "EndpointSlice"):
        assert f"kind: {word}\n" in text
    for word in (*NAMESPACES, "ingress", "workloadSelector", "exportTo", "sniHosts", "subset"):
        assert word in text
