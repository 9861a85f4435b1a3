"""What a port carries, by what is declared."""

from __future__ import annotations

import pytest

from meshproxy.model.cluster import UpstreamHttp
from meshproxy.model.listener import Application
from meshproxy.translate.protocol import Protocol, parse_protocol, protocol_of


@pytest.mark.parametrize(
    ("port", "name", "app_protocol", "expected"),
    [
        (80, "http", "", Protocol.HTTP),
        (80, "http-web", "", Protocol.HTTP),
        (80, "HTTP-web", "", Protocol.HTTP),
        (80, "http2-x", "", Protocol.HTTP2),
        (80, "grpc", "", Protocol.GRPC),
        (80, "grpc-web", "", Protocol.GRPC_WEB),
        (80, "grpc-web-x", "", Protocol.GRPC_WEB),
        (80, "gRPC-Web-x", "", Protocol.GRPC_WEB),
        (80, "https-x", "", Protocol.HTTPS),
        (80, "tls", "", Protocol.TLS),
        (80, "tcp-x", "", Protocol.TCP),
        (80, "mongo", "", Protocol.MONGO),
        (80, "mysql", "", Protocol.MYSQL),
        (80, "redis-master", "", Protocol.REDIS),
        (80, "", "", Protocol.UNDECLARED),
        (80, "web", "", Protocol.UNDECLARED),
        (80, "httpx", "", Protocol.UNDECLARED),
        (80, "udp-x", "", Protocol.UNDECLARED),
        (80, "tcp", "http", Protocol.HTTP),
        (80, "http", "tcp", Protocol.TCP),
        (80, "http", "kubernetes.io/h2c", Protocol.HTTP2),
        (80, "", "kubernetes.io/ws", Protocol.HTTP),
        (80, "", "kubernetes.io/wss", Protocol.HTTPS),
        (80, "http", "postgres", Protocol.UNDECLARED),
        (25, "", "", Protocol.TCP),
        (53, "dns", "", Protocol.TCP),
        (3306, "", "", Protocol.TCP),
        (27017, "db", "", Protocol.TCP),
        (3306, "http", "", Protocol.HTTP),
        (3306, "", "whatever", Protocol.TCP),
    ],
)
def test_selection(port: int, name: str, app_protocol: str, expected: Protocol) -> None:
    assert protocol_of(port, name, app_protocol) is expected


@pytest.mark.parametrize("transport", ["UDP", "SCTP", "udp"])
def test_only_tcp_is_proxied(transport: str) -> None:
    assert protocol_of(80, "http", "", transport) is Protocol.UDP


@pytest.mark.parametrize(
    ("protocol", "application", "upstream"),
    [
        (Protocol.HTTP, Application.HTTP, UpstreamHttp.HTTP1),
        (Protocol.HTTP2, Application.HTTP, UpstreamHttp.HTTP2),
        (Protocol.GRPC, Application.HTTP, UpstreamHttp.HTTP2),
        (Protocol.GRPC_WEB, Application.HTTP, UpstreamHttp.HTTP2),
        (Protocol.HTTPS, Application.TCP, UpstreamHttp.HTTP1),
        (Protocol.TCP, Application.TCP, UpstreamHttp.HTTP1),
        (Protocol.UNDECLARED, Application.DETECT, UpstreamHttp.AS_DOWNSTREAM),
    ],
)
def test_what_a_protocol_means(
    protocol: Protocol, application: Application, upstream: UpstreamHttp
) -> None:
    assert protocol.application is application
    assert protocol.upstream is upstream


def test_names_in_any_case() -> None:
    assert parse_protocol("GRPC-Web") is Protocol.GRPC_WEB
    assert parse_protocol("gopher") is None
    assert parse_protocol("") is None
