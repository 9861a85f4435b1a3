"""Two sidecars with mutual TLS between them: the caller's, and that of the app that is called.

    load -> outbound sidecar -> mutual TLS -> inbound sidecar -> app

What stands before the hop is what the other benchmark measures: a weighted route 90:10, retries,
breakers, a JSON access log. Behind it the caller is let in by its name, and logged as well.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.machine.tools import find, version
from benchmarks.peers import envoy, meshproxy
from benchmarks.peers.envoy_tls import from_callers, to_upstream
from benchmarks.peers.peer import Launch, Peer, Place

TRUST_DOMAIN = "cluster.local"
CALLER = f"spiffe://{TRUST_DOMAIN}/ns/default/sa/front"
CALLED = f"spiffe://{TRUST_DOMAIN}/ns/default/sa/inv"
_DOES = "mutual TLS between two sidecars, allowed by principal, JSON access logs"

_INBOUND = """\
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: inv, namespace: default}}
spec: {{address: 127.0.0.1, labels: {{app: inv, version: v1}}, serviceAccount: inv}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: inv, namespace: default}}
spec:
  ingress:
  - {{port: {{number: {v1}, protocol: {protocol}, name: v1}}, bind: 127.0.0.1, captureMode: NONE,
     defaultEndpoint: "127.0.0.1:{app1}"}}
  - {{port: {{number: {v2}, protocol: {protocol}, name: v2}}, bind: 127.0.0.1, captureMode: NONE,
     defaultEndpoint: "127.0.0.1:{app2}"}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: default}}
spec: {{mtls: {{mode: STRICT}}}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: callers, namespace: default}}
spec:
  action: ALLOW
  rules:
  - from: [{{source: {{principals: [{principal}]}}}}]
---
kind: MeshConfig
accessLogFile: /dev/stdout
accessLogEncoding: JSON
---
apiVersion: meshproxy.dev/v1alpha1
kind: Settings
metadata: {{name: sessions, namespace: default}}
spec: {{tlsSessionTickets: true}}
"""


class Certificates(NamedTuple):
    """Folders with the files of both ends."""

    caller: Path
    called: Path


def issue(folder: Path, root: Path = meshproxy.ROOT) -> Certificates:
    """Made by the small authority that the program brings along."""

    def ca(*arguments: str) -> None:
        command = [sys.executable, "-m", "meshproxy", "ca", *arguments]
        subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)

    found = Certificates(folder / "caller", folder / "called")
    ca("init", str(folder / "ca"), "--trust-domain", TRUST_DOMAIN)
    for identity, out in zip((CALLER, CALLED), found, strict=True):
        ca("issue", "--ca", str(folder / "ca"), "--out", str(out), "--identity", identity)
    return found


def envoy_chain(certificates: Certificates, protocol: str = "http") -> Peer:
    """``protocol``: http, or http2 from end to end."""
    return Peer(
        "envoy",
        _DOES,
        lambda place: _envoys(place, certificates, protocol),
        lambda: version("envoy", find("envoy")),
    )


def meshproxy_chain(
    certificates: Certificates, protocol: str = "http", root: Path = meshproxy.ROOT
) -> Peer:
    return Peer(
        "meshproxy",
        f"{_DOES}, Istio's metrics; {meshproxy.form(root)}",
        lambda place: _ours(place, certificates, protocol, root),
        remarks=meshproxy.remarks,
        ours=True,
    )


# Envoy.


def _envoys(place: Place, certificates: Certificates, protocol: str) -> Launch:
    ports = (place.ports.take(), place.ports.take())
    bootstrap = _envoy_inbound(place, ports, certificates, protocol)
    inbound = envoy.command_for(place, "inbound.json", bootstrap)
    port = place.ports.take()
    config = envoy.configuration(replace(place, upstreams=ports), port, "json")
    for cluster in config["static_resources"]["clusters"]:
        sni = f"outbound_.80_.{cluster['name'].split('|')[2]}_.inv.default.svc.cluster.local"
        cluster["transport_socket"] = to_upstream(certificates.caller, protocol, sni, [CALLED])
        if protocol == "http2":
            envoy.speak_http2(cluster)
    command = envoy.command_for(place, "outbound.json", config)
    return Launch(command, port, logs=True, inbound=Launch(inbound, ports[0], logs=True))


def _envoy_inbound(
    place: Place, ports: tuple[int, int], certificates: Certificates, protocol: str
) -> dict[str, Any]:
    listeners, clusters = [], []
    for port, app in zip(ports, place.upstreams, strict=True):
        name = f"inbound|{port}||"
        clusters.append(envoy.cluster(name, app))
        if protocol == "http2":
            envoy.speak_http2(clusters[-1])
        listeners.append(
            {
                "name": name,
                "address": envoy.address(port),
                "listener_filters": [envoy.filter_("listener.tls_inspector", "TlsInspector")],
                "filter_chains": [
                    {
                        "filter_chain_match": {"transport_protocol": "tls"},
                        "transport_socket": from_callers(
                            certificates.called, protocol, [TRUST_DOMAIN]
                        ),
                        "filters": [_manager(name)],
                    }
                ],
            }
        )
    return {
        "admin": {"address": envoy.address(place.ports.take())},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }


def _manager(cluster: str) -> dict[str, Any]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": cluster, "timeout": "0s"}}
    host = {"name": cluster, "domains": ["*"], "routes": [route]}
    return envoy.filter_(
        "network.http_connection_manager",
        "HttpConnectionManager",
        stat_prefix=cluster,
        codec_type="AUTO",
        use_remote_address=False,
        generate_request_id=True,
        normalize_path=True,
        forward_client_cert_details="APPEND_FORWARD",
        set_current_client_cert_details={"subject": True, "dns": True, "uri": True},
        access_log=envoy.access_log("json"),
        route_config={"name": cluster, "virtual_hosts": [host]},
        http_filters=[_rbac(), envoy.filter_("http.router", "Router")],
    )


def _rbac() -> dict[str, Any]:
    """As Istio writes the policy below (`pilot/pkg/security/authz/builder`)."""
    named = {"authenticated": {"principal_name": {"exact": CALLER}}}
    policy = {
        "permissions": [{"and_rules": {"rules": [{"any": True}]}}],
        "principals": [{"and_ids": {"ids": [{"or_ids": {"ids": [named]}}]}}],
    }
    rules = {"action": "ALLOW", "policies": {"ns[default]-policy[callers]-rule[0]": policy}}
    return envoy.filter_("http.rbac", "RBAC", rules=rules)


# meshproxy.


def _ours(place: Place, certificates: Certificates, protocol: str, root: Path) -> Launch:
    ports = (place.ports.take(), place.ports.take())
    text = inbound_configuration(ports, place.upstreams, protocol)
    command = meshproxy.command_for(place, "inbound", text, "default/inv")
    command += ["--certs", str(certificates.called)]
    inbound = Launch(command, ports[0], logs=True, cwd=root)
    port = place.ports.take()
    text = meshproxy.configuration(port, ports, "json", protocol, account="inv")
    command = meshproxy.command_for(place, "outbound", text, "default/front")
    command += ["--certs", str(certificates.caller)]
    return Launch(command, port, logs=True, cwd=root, inbound=inbound)


def inbound_configuration(
    ports: tuple[int, int], apps: tuple[int, int], protocol: str = "http"
) -> str:
    """The called app's side of the mesh as YAML documents."""
    v1, v2 = ports
    app1, app2 = apps
    principal = CALLER.removeprefix("spiffe://")
    return _INBOUND.format(
        v1=v1, v2=v2, app1=app1, app2=app2, principal=principal, protocol=protocol.upper()
    )
