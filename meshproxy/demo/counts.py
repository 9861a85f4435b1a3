"""The same traffic counted three times: by the apps' answers, and by the sidecar at each end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from meshproxy.demo.figures import Sample, figures
from meshproxy.demo.scrape import Metrics
from meshproxy.demo.shop import Pod

REQUESTS = "istio_requests_total"
OPENED = "istio_tcp_connections_opened_total"
BYTES = "istio_tcp_received_bytes_total"


@dataclass(frozen=True, slots=True)
class Count:
    """``expected`` by the answers; ``source`` is None where the caller has no sidecar."""

    what: str
    expected: int
    source: int | None
    destination: int

    @property
    def agrees(self) -> bool:
        return self.destination == self.expected and self.source in (None, self.expected)


def counts(
    samples: Sequence[Sample], pods: Iterable[Pod], metrics: Mapping[str, Metrics]
) -> list[Count]:
    """What was called, in the order of the path. ``metrics`` are by the pods' names."""
    front, inbound = metrics["order"], {"reporter": "destination", "response_code": "200"}
    found = [Count("order, HTTP requests", len(samples), None, front.total(REQUESTS, **inbound))]
    versions = figures(samples).versions
    for pod in pods:
        if pod.app != "inventory":
            continue
        to = {"destination_app": pod.app, "destination_version": pod.version}
        found.append(
            Count(
                f"inventory {pod.version}, HTTP requests",
                versions.get(pod.version, 0),
                front.total(REQUESTS, reporter="source", response_code="200", **to),
                metrics[pod.name].total(REQUESTS, **inbound),
            )
        )
    receipts = [sample.receipt for sample in samples if sample.receipt]
    found.append(_tcp("connections", OPENED, len(receipts), metrics))
    found.append(_tcp("bytes received", BYTES, sum(receipts), metrics))
    return found


def _tcp(what: str, name: str, expected: int, metrics: Mapping[str, Metrics]) -> Count:
    source = metrics["order"].total(name, reporter="source", destination_app="echo")
    destination = metrics["echo"].total(name, reporter="destination")
    return Count(f"echo, TCP {what}", expected, source, destination)
