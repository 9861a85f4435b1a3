"""Random meshes, and calls in them: what Istio and Kubernetes can be told, in every mixture.

Left out is what is known to come out otherwise on purpose (docs/configuration.md), and what Istio
does not do the same way twice.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml

T = TypeVar("T")
Document = dict[str, Any]

NAMESPACES = ("default", "other", "third")
NAMES = "abc"
OWN, OWN_IP = "app", "10.9.0.1"
ROOT = "istio-system"
# Number, name in Kubernetes, protocol in Istio's words. "p7070" says nothing of its protocol.
PORTS = (
    (80, "http", "HTTP"),
    (8080, "http-alt", "HTTP"),
    (9000, "tcp-db", "TCP"),
    (443, "https", "HTTPS"),
    (9090, "grpc", "GRPC"),
    (7070, "p7070", ""),
    (5000, "tls-x", "TLS"),
    (3306, "mysql", "MySQL"),
)
NUMBERS = tuple(number for number, _, _ in PORTS)
HOSTS = ("a.example.com", "b.example.com", "x.y.example.com", "ext.example.org", "one.test")
WILD = ("*.example.com", "*.y.example.com", "*.org")
VERSIONS = ("v1", "v2")


@dataclass(frozen=True)
class Call:
    """``protocol``: http, http2 or tcp. ``tls``: plaintext, tls, mtls. ``mode``: from the app
    (outbound) or to it."""

    port: int
    address: str
    mode: str = "outbound"
    protocol: str = "tcp"
    tls: str = "plaintext"
    host: str = ""
    path: str = "/"
    sni: str = ""


@dataclass(frozen=True)
class Mesh:
    """Documents as YAML, MeshConfig, and calls of the pod ``default/app`` or to it."""

    istio: str
    kubernetes: str
    config: Document
    calls: tuple[Call, ...]


def random_mesh(seed: int) -> Mesh:
    return _Maker(seed).mesh()


class _Maker:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._count = 0
        self._istio: list[Document] = []
        self._kubernetes: list[Document] = []
        self._names: set[tuple[str, str]] = set()
        self._written: list[str] = []  # hosts as they stand in documents
        self._called: list[str] = []  # and as apps call them
        self._addresses: list[str] = []

    # Chance.

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _pick(self, things: Sequence[T]) -> T:
        return self._random.choice(things)

    def _some(self, things: Iterable[T], least: int, most: int) -> list[T]:
        whole = sorted(set(things))  # type: ignore[type-var]  # a set's own order is another in each process
        count = self._random.randint(min(least, len(whole)), min(most, len(whole)))
        return self._random.sample(whole, count)

    def _ip(self, net: str) -> str:
        self._count += 1
        return f"{net}.{self._count // 250}.{self._count % 250 + 1}"

    # Documents.

    def mesh(self) -> Mesh:
        pairs = ((self._pick(NAMES), self._pick(NAMESPACES)) for _ in range(5))
        self._names = set(self._some(pairs, 1, 5))
        for name, namespace in sorted(self._names):
            self._service(name, namespace)
        for index in range(self._random.randint(0, 3)):
            self._service_entry(index)
        for index in range(self._random.randint(0, 2)):
            self._workload_entry(index)
        for index in range(self._random.randint(0, 3)):
            self._virtual_service(index)
        for index in range(self._random.randint(0, 3)):
            self._destination_rule(index)
        if self._chance(0.3):
            self._sidecar()
        if self._chance(0.4):
            self._peer_authentications()
        self._kubernetes.append(_POD)
        return Mesh(
            yaml.safe_dump_all(self._istio),
            yaml.safe_dump_all(self._kubernetes),
            self._mesh_config(),
            (*(self._outbound_call() for _ in range(60)), *_inbound_calls()),
        )

    def _add(self, kind: str, name: str, namespace: str, spec: Document) -> None:
        """Created at a time of its own: what comes first is never left to chance."""
        self._count += 1
        month, day = self._random.randint(1, 12), self._random.randint(1, 28)
        created = f"2024-{month:02}-{day:02}T{self._count // 60:02}:{self._count % 60:02}:00Z"
        group = "security" if kind == "PeerAuthentication" else "networking"
        meta = {"name": name, "namespace": namespace, "creationTimestamp": created}
        document = {"kind": kind, "metadata": meta, "spec": spec}
        if kind == "Service":
            exported = spec.pop("exportTo", None)
            if exported:
                meta["annotations"] = {"networking.istio.io/exportTo": ",".join(exported)}  # type: ignore[assignment]
            self._kubernetes.append({"apiVersion": "v1", **document})
        else:
            self._istio.append({"apiVersion": f"{group}.istio.io/v1", **document})

    def _exported(self, spec: Document, *more: list[str]) -> Document:
        if self._chance(0.25):
            choices = [["*"], ["."], ["default"], ["other"], [".", "other"], ["default", "third"]]
            spec["exportTo"] = self._pick([*choices, *more])
        return spec

    def _service(self, name: str, namespace: str) -> None:
        ports = [
            {
                "name": port,
                "port": number,
                "targetPort": number + (1000 if self._chance(0.3) else 0),
            }
            for number, port, _ in self._some(PORTS, 1, 3)
        ]
        own = namespace == "default" and self._chance(0.3)
        address = self._ip("10.1") if self._chance(0.7) else "None"
        spec = {"clusterIP": address, "selector": {"app": OWN if own else name}, "ports": ports}
        self._add("Service", name, namespace, self._exported(spec, ["~"]))
        full = f"{name}.{namespace}.svc.cluster.local"
        self._written += [full, name]
        self._called += [full, name, f"{name}.{namespace}", f"{name}.{namespace}.svc"]
        pods = [OWN_IP] if own else [self._ip("10.2") for _ in range(self._random.randint(0, 2))]
        self._addresses += [each for each in (address, *pods) if each != "None"]
        headless = address == "None"
        if pods:
            self._kubernetes.append(
                {
                    "apiVersion": "discovery.k8s.io/v1",
                    "kind": "EndpointSlice",
                    "metadata": {
                        "name": f"{name}-x",
                        "namespace": namespace,
                        "labels": {"kubernetes.io/service-name": name},
                    },
                    "addressType": "IPv4",
                    "ports": [{"name": each["name"], "port": each["targetPort"]} for each in ports],
                    "endpoints": [
                        {
                            "addresses": [pod],
                            "conditions": {"ready": own or headless or self._chance(0.9)},
                        }
                        for pod in pods
                    ],
                }
            )

    def _service_entry(self, index: int) -> None:
        """No host twice in a namespace, nor one that a Service there has."""
        namespace = self._pick(NAMESPACES)
        taken = {
            host
            for each in self._istio
            if each["kind"] == "ServiceEntry" and each["metadata"]["namespace"] == namespace
            for host in each["spec"]["hosts"]
        }
        choices = [*HOSTS, *WILD]
        if ("a", namespace) not in self._names:
            choices.append(f"a.{namespace}.svc.cluster.local")
        hosts = self._some([host for host in choices if host not in taken], 1, 2)
        ports = self._some(PORTS, 1, 3)
        if any(protocol in ("TCP", "MySQL") for _, _, protocol in ports):
            hosts = hosts[:1]  # Istio's validation
        wild = any("*" in host for host in hosts)
        resolutions = ["NONE", "STATIC", *([] if wild else ["DNS", "DNS", "DNS_ROUND_ROBIN"])]
        resolution = self._pick(resolutions)
        spec: Document = {
            "hosts": hosts,
            "resolution": resolution,
            "ports": [
                {
                    "number": number,
                    "name": name,
                    "protocol": protocol or "HTTP",
                    "targetPort": number + (1 if self._chance(0.2) else 0),
                }
                for number, name, protocol in ports
            ],
        }
        if self._chance(0.4):
            spec["location"] = self._pick(["MESH_EXTERNAL", "MESH_INTERNAL"])
        if self._chance(0.4):
            nets = [] if "DNS" in resolution else ["10.4.0.0/16", "10.4.1.0/24"]
            spec["addresses"] = self._some([self._ip("10.3"), *nets, self._ip("10.3")], 1, 2)
            self._addresses += [each for each in spec["addresses"] if "/" not in each]
        if resolution == "STATIC" and self._chance(0.3):
            spec["workloadSelector"] = {"labels": {"app": self._pick(NAMES)}}
        elif resolution == "STATIC" or ("DNS" in resolution and self._chance(0.3)):
            count = 1 if resolution == "DNS_ROUND_ROBIN" else self._random.randint(1, 2)
            spec["endpoints"] = [
                {
                    "address": self._ip("10.5")
                    if resolution == "STATIC"
                    else f"up{at}.example.net",
                    "labels": {"version": self._pick(VERSIONS)},
                    "weight": self._random.randint(1, 9),
                }
                for at in range(count)
            ]
        self._add("ServiceEntry", f"entry-{index}", namespace, self._exported(spec, ["~"]))
        self._written += [host.replace("*", "some") for host in hosts]
        self._called += [host.replace("*", "some") for host in hosts]

    def _workload_entry(self, index: int) -> None:
        labels = {"app": self._pick(NAMES), "version": self._pick(VERSIONS)}
        spec: Document = {"address": self._ip("10.6"), "labels": labels}
        if self._chance(0.4):
            spec["ports"] = {name: number + 7 for number, name, _ in self._some(PORTS, 1, 2)}
        self._add("WorkloadEntry", f"vm-{index}", self._pick(NAMESPACES), spec)

    def _destination(self) -> Document:
        """With a port: without one it would mean more here than in Istio."""
        found = {
            "host": self._pick([*self._written, *NAMES]),
            "port": {"number": self._pick(NUMBERS)},
        }
        return {**found, **({"subset": self._pick(VERSIONS)} if self._chance(0.4) else {})}

    def _route(self) -> list[Document]:
        if self._chance(0.5):
            return [{"destination": self._destination()}]
        return [{"destination": self._destination(), "weight": weight} for weight in (30, 70)]

    def _match(self) -> Document:
        found: Document = {}
        if self._chance(0.35):
            found["port"] = self._pick(NUMBERS)
        if self._chance(0.15):
            found["sourceLabels"] = {"app": self._pick([OWN, "nobody"])}
        if self._chance(0.15):
            found["gateways"] = [self._pick(["mesh", "default/gateway"])]
        return found

    def _virtual_service(self, index: int) -> None:
        namespace = self._pick(NAMESPACES)
        wild = ("*.default.svc.cluster.local", "*.local", "*.example.com")
        hosts = self._some([*self._written, *wild, "no.test"], 1, 2)
        if any("*" in host for host in hosts):
            hosts = [host for host in hosts if "*" in host][:1]  # not one under the other
        spec: Document = {"hosts": hosts}
        kinds = self._some(["http", "tcp", "tls"], 1, 2)
        if "http" in kinds:
            spec["http"] = [self._http_route(f"r{index}{at}") for at in range(2)]
        if "tcp" in kinds:
            match = self._match()
            spec["tcp"] = [{"route": self._route(), **({"match": [match]} if match else {})}]
        if "tls" in kinds:
            names = [host for host in hosts if "." in host] or ["name.test"]
            spec["hosts"] = list(dict.fromkeys([*hosts, *names]))
            match = {**self._match(), "sniHosts": names[:1]}
            spec["tls"] = [{"match": [match], "route": self._route()}]
        if self._chance(0.15):
            choices = [["mesh"], ["default/gateway"], ["mesh", "default/gateway"]]
            spec["gateways"] = self._pick(choices)
        self._add("VirtualService", f"rule-{index}", namespace, self._exported(spec))

    def _http_route(self, name: str) -> Document:
        match = self._match()
        if self._chance(0.4):
            match["uri"] = {"prefix": self._pick(["/x", "/y"])}
        if self._chance(0.15):
            match["sourceNamespace"] = self._pick(NAMESPACES)
        found = {"name": name, "route": self._route()}
        return {**found, **({"match": [match]} if match else {})}

    def _destination_rule(self, index: int) -> None:
        host = self._pick([*self._written, "*.example.com", "*.local", "*"])
        subsets = [
            {"name": each, "labels": {"version": each}} for each in self._some(VERSIONS, 1, 2)
        ]
        spec = self._exported({"host": host, "subsets": subsets})
        self._add("DestinationRule", f"subsets-{index}", self._pick([*NAMESPACES, ROOT]), spec)

    def _sidecar(self) -> None:
        """A port that it opens is one for all services: else Istio's routes and listeners part."""
        full = "svc.cluster.local"
        hosts = ("*/*", "./*", "other/*", f"default/a.default.{full}", "*/*.example.com")
        more = (f"other/b.other.{full}", "*/a.example.com", f"third/*.{full}")
        egress: list[Document] = [{"hosts": self._some((*hosts, *more), 1, 2)}]
        if self._chance(0.5):
            number, name, _ = self._pick(PORTS)
            port = {"number": number, "name": name, "protocol": self._pick(["HTTP", "TCP"])}
            egress.insert(0, {"hosts": ["*/*"], "port": port})
        spec: Document = {"egress": egress}
        if self._chance(0.4):
            spec["ingress"] = [
                {
                    "port": {"number": number, "name": name, "protocol": protocol or "HTTP"},
                    "defaultEndpoint": f"127.0.0.1:{number + 5}",
                }
                for number, name, protocol in self._some(PORTS, 1, 2)
            ]
        if self._chance(0.3):
            mode = self._pick(["REGISTRY_ONLY", "ALLOW_ANY"])
            spec["outboundTrafficPolicy"] = {"mode": mode}
        namespace = self._pick(["default", ROOT])
        if namespace == "default" and self._chance(0.5):
            spec["workloadSelector"] = {"labels": {"app": OWN}}
        self._add("Sidecar", "sidecar", namespace, spec)

    def _peer_authentications(self) -> None:
        modes = ["STRICT", "PERMISSIVE", "DISABLE"]
        for name, namespace in (("mesh", ROOT), ("namespace", "default"), ("pod", "default")):
            if not self._chance(0.5):
                continue
            spec: Document = {"mtls": {"mode": self._pick([*modes, "UNSET"])}}
            if name == "pod":
                spec["selector"] = {"matchLabels": {"app": OWN}}
                ports = self._some((80, 1080, 9000, 443, 9999), 0, 2)
                spec["portLevelMtls"] = {port: {"mode": self._pick(modes)} for port in ports}
            self._add("PeerAuthentication", name, namespace, spec)

    def _mesh_config(self) -> Document:
        found: Document = {}
        if self._chance(0.3):
            found["outboundTrafficPolicy"] = {"mode": "REGISTRY_ONLY"}
        for name in ("Service", "VirtualService", "DestinationRule"):
            if self._chance(0.1):
                found[f"default{name}ExportTo"] = ["."]
        return found

    # Calls.

    def _outbound_call(self) -> Call:
        host = self._pick([*self._called, "nobody.test"])
        address = self._pick([*self._addresses, "10.4.1.7", "10.4.9.9", "192.0.2.77"])
        port = self._pick(NUMBERS)
        kind = self._pick(["http", "http2", "tcp", "tls"])
        if kind == "tls":
            return Call(port, address, tls="tls", sni=host)
        if kind == "tcp":
            return Call(port, address)
        authority = f"{host}:{port}" if self._chance(0.3) else host
        path = self._pick(["/", "/x", "/y"])
        return Call(port, address, protocol=kind, host=authority, path=path)


_POD: Document = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": OWN, "namespace": "default", "labels": {"app": OWN}},
    "spec": {"containers": [{"name": "app"}]},
    "status": {
        "phase": "Running",
        "podIP": OWN_IP,
        "podIPs": [{"ip": OWN_IP}],
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}


def _inbound_calls() -> Iterable[Call]:
    for port in (*NUMBERS, 1080, 8070, 9999):
        for protocol in ("http", "tcp"):
            for tls in ("plaintext", "tls", "mtls"):
                host, sni = ("x" if protocol == "http" else ""), ("x" if tls == "tls" else "")
                yield Call(port, OWN_IP, "inbound", protocol, tls, host, sni=sni)
