"""Injection templates of others work by changing the image alone."""

from __future__ import annotations

import pytest

from meshproxy.cli.foreign import without_foreign

KNOWN = {"--log-level", "--concurrency", "--trust-domain"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("sidecar --domain default.svc.cluster.local --proxyLogLevel=warning", "sidecar"),
        ("sidecar --proxyComponentLogLevel=misc:error --log_output_level=default:info", "sidecar"),
        ("sidecar --concurrency 2", "sidecar --concurrency 2"),
        (
            "sidecar --concurrency=2 --log_as_json --log-level debug",
            "sidecar --concurrency=2 --log-level debug",
        ),
        ("router --domain x sidecar", "sidecar"),
        ("--stsPort --concurrency 4", "--concurrency 4"),
        ("--profiling sidecar", "sidecar"),
        ("--templateFile /x", ""),
        ("", ""),
    ],
)
def test_what_is_left_out(given: str, kept: str) -> None:
    arguments = given.split()
    left, dropped = without_foreign(arguments, KNOWN, ("sidecar",))
    assert left == kept.split()
    assert sorted(left + dropped) == sorted(arguments)
