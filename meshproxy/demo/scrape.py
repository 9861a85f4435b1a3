"""What a sidecar has counted, as its Prometheus endpoint tells it."""

from __future__ import annotations

import http.client

from prometheus_client.parser import text_string_to_metric_families

_PATIENCE = 5.0


class Metrics:
    """The samples of one scrape."""

    def __init__(self, text: str) -> None:
        self._samples = [
            sample for family in text_string_to_metric_families(text) for sample in family.samples
        ]

    def total(self, name: str, **labels: str) -> int:
        """The sum over all series of a name that have these labels."""
        return round(
            sum(
                sample.value
                for sample in self._samples
                if sample.name == name and labels.items() <= sample.labels.items()
            )
        )

    def series(self, name: str, **labels: str) -> list[tuple[dict[str, str], int]]:
        """All series of a name that have these labels, with all their labels."""
        return [
            (sample.labels, round(sample.value))
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]


def get(address: tuple[str, int], path: str) -> tuple[int, str]:
    """Status and body of a GET. Raises `OSError` where nobody answers."""
    connection = http.client.HTTPConnection(*address, timeout=_PATIENCE)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from None
    finally:
        connection.close()


def scrape(address: tuple[str, int]) -> Metrics:
    """Fetch the metrics of the sidecar whose Prometheus port this is."""
    return Metrics(get(address, "/stats/prometheus")[1])
