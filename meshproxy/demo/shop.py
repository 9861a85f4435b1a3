"""What the demo's YAML says of pods and services, for those who start the programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Service:
    """A name, and the virtual address that apps call."""

    name: str
    ip: str
    port: int


@dataclass(frozen=True, slots=True)
class Pod:
    """``port`` is where the mesh reaches it, 0 where nothing listens; ``listen`` is where its app
    listens. ``account`` is the service account that it runs as."""

    name: str
    namespace: str
    app: str
    version: str
    ip: str
    port: int
    listen: tuple[str, int]
    account: str = "default"

    @property
    def identity(self) -> str:
        """Its SPIFFE ID, as in Istio."""
        return f"spiffe://cluster.local/ns/{self.namespace}/sa/{self.account}"

    @property
    def workload(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Shop:
    """All pods and services."""

    pods: tuple[Pod, ...]
    services: tuple[Service, ...]

    @property
    def serving(self) -> tuple[Pod, ...]:
        """Pods with an app that listens."""
        return tuple(pod for pod in self.pods if pod.port)

    def pod(self, name: str) -> Pod:
        return next(pod for pod in self.pods if pod.name == name)

    def service(self, name: str) -> Service:
        return next(service for service in self.services if service.name == name)

    def environment(self, pod: Pod) -> dict[str, str]:
        """What Kubernetes would set for the app's container."""
        found = {"POD_NAME": pod.name, "VERSION": pod.version}
        found |= {"HOST": pod.listen[0], "PORT": str(pod.listen[1])}
        for service in self.services:
            found[f"{service.name.upper()}_SERVICE_HOST"] = service.ip
            found[f"{service.name.upper()}_SERVICE_PORT"] = str(service.port)
        return found

    def ports(self) -> dict[int, list[str]]:
        """Every port in use, and the addresses it is used on where there is no redirect."""
        found: dict[int, list[str]] = {}
        for service in self.services:
            found.setdefault(service.port, []).append(service.ip)
        for pod in self.serving:
            found.setdefault(pod.port, []).append(pod.ip)
            found.setdefault(pod.listen[1], []).append(pod.listen[0])
        return found


def read_shop(texts: Iterable[str]) -> Shop:
    """The shop of these YAML texts."""
    documents = [each for text in texts for each in yaml.safe_load_all(text)]
    sidecars = list(_of_kind(documents, "Sidecar"))
    return Shop(
        tuple(_pod(each, sidecars) for each in _of_kind(documents, "Pod")),
        tuple(_service(each) for each in _of_kind(documents, "Service")),
    )


def _of_kind(documents: Iterable[Document], kind: str) -> Iterator[Document]:
    return (each for each in documents if each["kind"] == kind)


def _service(document: Document) -> Service:
    spec = document["spec"]
    return Service(document["metadata"]["name"], spec["clusterIP"], spec["ports"][0]["port"])


def _pod(document: Document, sidecars: Iterable[Document]) -> Pod:
    meta, labels = document["metadata"], document["metadata"]["labels"]
    ports = document["spec"]["containers"][0].get("ports")
    port = ports[0]["containerPort"] if ports else 0
    return Pod(
        meta["name"],
        meta["namespace"],
        labels["app"],
        labels["version"],
        document["status"]["podIP"],
        port,
        _endpoint(labels, sidecars) or ("0.0.0.0", port),
        document["spec"]["serviceAccountName"],
    )


def _endpoint(labels: Document, sidecars: Iterable[Document]) -> tuple[str, int] | None:
    """The app's own place, as the Sidecar resource that selects the pod says."""
    for sidecar in sidecars:
        wanted = sidecar["spec"]["workloadSelector"]["labels"]
        if wanted.items() <= labels.items() and "ingress" in sidecar["spec"]:
            host, _, port = sidecar["spec"]["ingress"][0]["defaultEndpoint"].partition(":")
            return host, int(port)
    return None
