"""Every case of `h2spec` against both directions of a real sidecar in cleartext, and against its
inbound side in mutual TLS.

`h2spec` is installed by ``scripts/setup.sh go h2spec`` where Go is at hand.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support import hop
from tests.support.envoy import program as envoy
from tests.support.envoy_sidecar import EnvoySidecar, Outbound
from tests.support.http2 import Http2App
from tests.support.pki import Authority
from tests.support.sidecar import CODECS, KINDS, Sidecar, config, free_port, istio, me, plain

PROGRAM = shutil.which("h2spec", path=f"{os.environ['PATH']}:{Path.home() / 'go/bin'}")
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="h2spec is missing (scripts/setup.sh go h2spec)"
)

# The ports speak HTTP/1.1, too: what begins with neither protocol's words is told so with a 400 in
# HTTP/1.1, and the connection is closed. h2spec takes the 400 for broken frames.
ALSO_HTTP1 = {"http2/3.5: Sends invalid connection preface"}
CASES = 146
REQUESTS = "istio_requests_total"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_all_cases(kind: tuple[str, int], direction: str, tmp_path: Path) -> None:
    codec, workers = kind
    inbound, outbound = free_port(), free_port()
    with Http2App() as app:
        text = config(me(), local_host(outbound, app.port), ports(inbound, outbound, app.port))
        with Sidecar(text, codec=codec, workers=workers) as proxy:
            port = inbound if direction == "inbound" else outbound
            seen = h2spec(port, tmp_path / "report.xml")
            counted = proxy.metrics().value("meshproxy_downstream_protocol_errors_total")
    assert len(seen) == CASES
    assert {name: said for name, said in seen.items() if said and name not in ALSO_HTTP1} == {}
    assert counted > CASES / 3  # most of the cases break something


@pytest.mark.skipif(envoy() is None, reason="not installed: Envoy")
@pytest.mark.parametrize("codec", CODECS)
def test_all_cases_in_mutual_tls(codec: str, tmp_path: Path) -> None:
    """STRICT, by a certificate of the mesh and ALPN: an Envoy that knows nothing of HTTP lends
    h2spec both."""
    inbound, authority = free_port(), Authority()
    with Http2App() as app:
        text = config(
            hop.me("back"),
            ports(inbound, None, app.port),
            istio("PeerAuthentication", "default", {"mtls": {"mode": "STRICT"}}),
        )
        tunnel = Outbound(inbound, (hop.BACK_ID,), "tcp", alpn=("h2",))
        with (
            hop.ours(text, authority.issue(hop.BACK), codec=codec) as proxy,
            EnvoySidecar(authority.issue(hop.FRONT), outbound=[tunnel]) as envoy_before,
        ):
            seen = h2spec(envoy_before.ports[0], tmp_path / "report.xml")
            found = proxy.metrics()
    assert len(seen) == CASES
    assert {name: said for name, said in seen.items() if said and name not in ALSO_HTTP1} == {}
    assert found.value("meshproxy_downstream_protocol_errors_total") > CASES / 3
    served = {each.labels["connection_security_policy"] for each in found.samples(REQUESTS)}
    assert served == {"mutual_tls"}


def local_host(port: int, app: int) -> dict[str, object]:
    """Requests name the host that h2spec connects to."""
    spec = {
        "hosts": ["localhost"],
        "ports": [{"number": port, "name": "http2", "protocol": "HTTP2"}],
        "resolution": "STATIC",
        "endpoints": [{"address": "127.0.0.1", "ports": {"http2": app}}],
    }
    return istio("ServiceEntry", "local", spec)


def ports(inbound: int, outbound: int | None, app: int) -> dict[str, object]:
    egress = [] if outbound is None else [(outbound, "HTTP2")]
    return plain(egress, [(inbound, "HTTP2", app)])


def h2spec(port: int, report: Path) -> dict[str, str]:
    """What went wrong by section and case, strict ones included; empty if nothing did."""
    assert PROGRAM is not None
    subprocess.run(
        [PROGRAM, "-S", "-h", "localhost", "-p", str(port), "-o", "5", "-j", str(report)],
        capture_output=True,
        timeout=120,
        check=False,
    )
    seen: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        problem = case.find("failure")
        if problem is None:
            problem = case.find("error")
        name = f"{case.get('package')}: {case.get('classname')}"
        while name in seen:
            name += " (again)"
        seen[name] = "" if problem is None else ElementTree.tostring(problem, encoding="unicode")
    return seen
