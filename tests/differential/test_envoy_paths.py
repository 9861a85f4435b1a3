"""Paths for us and for a real Envoy: the same spelling, or the same refusal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshproxy.model.paths import PathNormalization
from meshproxy.wire.paths import compile_normalization
from tests.support import envoy
from tests.support.envoy import EnvoyProcess
from tests.support.peers import LOCAL, Peer
from tests.support.sidecar import free_port

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(envoy.program() is None, reason="envoy is missing"),
]

_TYPES = "type.googleapis.com/envoy.extensions."
# As Istio sets them (`pilot/pkg/networking/core/listener.go`).
OPTIONS: dict[PathNormalization, dict[str, Any]] = {
    PathNormalization.NONE: {"normalize_path": False},
    PathNormalization.BASE: {"normalize_path": True},
    PathNormalization.MERGE_SLASHES: {"normalize_path": True, "merge_slashes": True},
    PathNormalization.DECODE_AND_MERGE_SLASHES: {
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
    },
}


def _listener(port: int, options: dict[str, Any]) -> dict[str, Any]:
    """Answers every request with the path as it is by then."""
    told = {"header": {"key": "x-path", "value": "%REQ(:PATH)%"}}
    route = {
        "match": {"prefix": "/"},
        "direct_response": {"status": 200},
        "response_headers_to_add": [told],
    }
    manager = {
        "@type": _TYPES + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "paths",
        **options,
        "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": _TYPES + "filters.http.router.v3.Router"},
            }
        ],
    }
    filters = [{"name": "http", "typed_config": manager}]
    return {
        "name": f"{port}",
        "address": {"socket_address": {"address": LOCAL, "port_value": port}},
        "filter_chains": [{"filters": filters}],
    }


class Oracle:
    """One kept-alive connection to each listener, made again where Envoy has closed it."""

    def __init__(self, ports: dict[PathNormalization, int]) -> None:
        self._ports = ports
        self._open: dict[PathNormalization, Peer] = {}

    def ask(self, kind: PathNormalization, target: bytes) -> bytes | None:
        peer = self._open.get(kind) or Peer.connect(self._ports[kind])
        self._open[kind] = peer
        peer.send(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = peer.answer()
        if answer.has("connection", "close"):
            self._open.pop(kind).close()
        if answer.status == 400:
            return None
        assert answer.status == 200
        path = answer.get("x-path")
        assert path is not None
        return path.encode("latin-1")

    def close(self) -> None:
        for peer in self._open.values():
            peer.close()


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    ports = {kind: free_port() for kind in PathNormalization}
    listeners = [_listener(port, OPTIONS[kind]) for kind, port in ports.items()]
    process = EnvoyProcess(ports[PathNormalization.NONE])
    process.configure({"static_resources": {"listeners": listeners}})
    with process, ExitStack() as stack:
        found = Oracle(ports)
        stack.callback(found.close)
        yield found


# Of what HTTP/1 may carry in a target: other bytes are refused before it comes to paths.
VISIBLE = st.integers(0x21, 0x7E).map(lambda code: bytes((code,)))
ESCAPED = st.integers(0, 255).flatmap(
    lambda code: st.sampled_from([b"%%%02x" % code, b"%%%02X" % code])
)
PIECES = st.one_of(
    st.sampled_from(
        [
            *(b"/", b"/", b"/", b"/", b".", b"..", b"%2e", b"%2E", b"%2f", b"%2F", b"%5c", b"%5C"),
            *(b"\\", b"a", b"b", b"~", b"?", b"%", b"%2", b"%25", b"%00", b"#", b"{", b";", b"//"),
        ]
    ),
    VISIBLE,
    ESCAPED,
)
targets = st.lists(PIECES, max_size=12).map(lambda pieces: b"/" + b"".join(pieces))


@settings(
    max_examples=1500,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.sampled_from(PathNormalization), targets)
def test_the_same_path(oracle: Oracle, kind: PathNormalization, target: bytes) -> None:
    assert compile_normalization(kind)(target) == oracle.ask(kind, target)
