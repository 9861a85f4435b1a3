"""The sidecar of this checkout (or of another), run as its users run it."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.peers.peer import Launch, Peer, Place

ROOT = Path(__file__).parents[2]
_UNHEEDED = "has no effect"

# The mesh that Envoy's configuration describes too: a caller, a service in two versions, 90:10.
_MESH = """\
apiVersion: v1
kind: Service
metadata: {{name: inv, namespace: default}}
spec:
  selector: {{app: inv}}
  ports: [{{name: {protocol}, port: {port}, targetPort: {v1}}}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: inv-v1, namespace: default}}
spec: {{address: 127.0.0.1, labels: {{app: inv, version: v1}}, ports: {{{protocol}: {v1}}}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: inv-v2, namespace: default}}
spec: {{address: 127.0.0.1, labels: {{app: inv, version: v2}}, ports: {{{protocol}: {v2}}}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: front, namespace: default}}
spec: {{address: 127.0.0.2, labels: {{app: front, version: v1}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: inv, namespace: default}}
spec:
  host: inv
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: v2, labels: {{version: v2}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: inv, namespace: default}}
spec:
  hosts: [inv]
  {kind}:
  - route:
    - {{destination: {{host: inv, subset: v1}}, weight: 90}}
    - {{destination: {{host: inv, subset: v2}}, weight: 10}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: front, namespace: default}}
spec:
  workloadSelector: {{labels: {{app: front}}}}
  egress:
  - port: {{number: {port}, protocol: {upper}, name: {protocol}}}
    bind: 127.0.0.1
    captureMode: NONE
    hosts: ["*/*"]
"""
_MUTUAL = """\
  trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}
"""
_RETRIES = """\
  - retries:
      attempts: 2
      retryOn: connect-failure,refused-stream,unavailable,cancelled,503
    route:
"""
_LOG = """\
---
kind: MeshConfig
accessLogFile: /dev/stdout
accessLogEncoding: {encoding}
"""


def meshproxy(
    name: str = "meshproxy",
    log: str = "json",
    codec: str = "fast",
    protocol: str = "http",
    root: Path = ROOT,
) -> Peer:
    """``log``: json, text or off. ``protocol`` tcp: bytes are passed on unread."""
    said = "no access log" if log == "off" else f"{log} access log"
    what = "weighted route 90:10, retry policy, Istio's metrics" if protocol == "http" else "TCP"
    reader = "" if codec == "fast" else f", read by {codec}"
    return Peer(
        name,
        f"{what}, {said}{reader}; {form(root)}",
        lambda place: _prepare(place, log, codec, protocol, root),
        remarks=remarks,
        weighted=protocol == "http",
        ours=True,
    )


def form(root: Path) -> str:
    return "compiled" if any(root.glob("meshproxy/serve/exchange.*.so")) else "interpreted"


def configuration(
    port: int, upstreams: tuple[int, int], log: str, protocol: str, account: str = ""
) -> str:
    """The mesh as YAML documents. ``protocol``: http, http2 or tcp. ``account``: who the service
    runs as, and so has a sidecar."""
    v1, v2 = upstreams
    kind = protocol.removesuffix("2")
    text = _MESH.format(
        port=port, v1=v1, v2=v2, protocol=protocol, kind=kind, upper=protocol.upper()
    )
    if account:
        text = text.replace("  host: inv\n", "  host: inv\n" + _MUTUAL)
        text = text.replace("}, ports: {", f"}}, serviceAccount: {account}, ports: {{")
    if kind == "http":
        text = text.replace("  - route:\n", _RETRIES)
    return text if log == "off" else text + _LOG.format(encoding=log.upper())


def _prepare(place: Place, log: str, codec: str, protocol: str, root: Path) -> Launch:
    port = place.ports.take()
    text = configuration(port, place.upstreams, log, protocol)
    command = [*command_for(place, "config", text, "default/front"), "--http1-codec", codec]
    # The package in the current folder comes before any installed one.
    return Launch(command, port, logs=log != "off", cwd=root)


def command_for(place: Place, name: str, text: str, workload: str) -> list[str]:
    """Write a configuration into a folder of that name; what runs it."""
    folder = place.folder / name
    folder.mkdir()
    (folder / "mesh.yaml").write_text(text)
    own = ("outbound", "inbound", "admin", "status", "prometheus")
    return [
        *(sys.executable, "-m", "meshproxy", "proxy", "--config", str(folder)),
        *("--workload", workload, "--concurrency", str(place.workers)),
        *("--drain-duration", "1s", "--bind", "127.0.0.1"),
        *(text for name in own for text in (f"--{name}-port", str(place.ports.take()))),
    ]


def remarks(stderr: str) -> list[str]:
    """What it was asked to do and says that it does not."""
    return [
        line.partition("warning: ")[2] for line in stderr.splitlines() if line.endswith(_UNHEEDED)
    ]
