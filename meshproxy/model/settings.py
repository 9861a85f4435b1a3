"""The sidecar's own knobs: the kind `Settings` (meshproxy.dev/v1alpha1), each with its default."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProxyProtocol:
    """Inbound ports on which others say, by the PROXY protocol, whose connection they pass on.

    On ``required`` ports a connection must begin so, and come from a ``trusted`` subnet; on
    ``optional`` ones that is looked for in connections from there, and not in others.
    """

    required: tuple[int, ...] = ()
    optional: tuple[int, ...] = ()
    trusted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """Every bound that a peer could otherwise grow, and every time that is waited.

    Sizes are bytes, times are seconds. The comment names the precedent for the number.
    """

    max_request_headers_bytes: int = 60 * 1024  # Envoy: max_request_headers_kb
    max_request_headers: int = 100  # Envoy: max_headers_count
    max_response_headers_bytes: int = 80 * 1024  # Envoy: HTTP/1 response header limit
    max_response_headers: int = 100  # Envoy
    max_connections: int = 0  # downstream connections of all workers together; 0: no limit
    max_pipelined_bytes: int = 256 * 1024  # read ahead of the request being answered
    max_idle_upstream: int = 1024  # idle upstream connections kept, per endpoint and worker
    max_h2_streams: int = 1024  # Envoy: concurrent streams of one downstream connection
    # What an HTTP/2 connection may do in a second, all the time: see `wire.h2_floods`.
    max_h2_resets: int = 500  # streams a client gives up, a second; Envoy: 500, then half of all
    max_h2_owed_resets: int = 500  # streams a peer makes us reset, a second
    max_h2_control_frames: int = 10_000  # PING and SETTINGS, a second; gRPC pings for each read
    max_h2_empty_frames: int = 100  # DATA without data, a second; Envoy: one after another
    max_h2_idle_frames: int = 10_000  # PRIORITY, unknown and late frames, a second
    max_h2_window_updates: int = 2000  # a second, beside Envoy's 10 for each DATA frame we send
    max_h2_tiny_windows: int = 1000  # DATA frames that a window kept under 64 bytes, a second
    max_h2_continuations: int = 32  # CONTINUATION frames of one header block
    h2_ping_interval: float = 0.0  # between PINGs, Envoy: connection_keepalive; 0s: none
    h2_ping_timeout: float = 20.0  # for anything to come then, or the connection is cut; gRPC: 20 s
    max_client_hello_bytes: int = 16 * 1024  # Envoy: tls_inspector max_client_hello_size
    max_tls_handshakes: int = 1024  # of callers at a time, per worker
    buffer_bytes: int = 256 * 1024  # per connection and direction before the sender is stopped
    max_hosts_remembered: int = 1024  # spellings of Host whose routing is remembered, per worker
    max_series: int = 10_000  # label sets per worker; the rest is counted as "other"
    tls_session_tickets: bool = False  # callers resume sessions, on the worker that they had before
    header_timeout: float = 60.0  # Envoy EDGE profile: request_headers_timeout
    tls_handshake_timeout: float = 15.0  # Istio: transport_socket_connect_timeout of its listeners
    downstream_idle_timeout: float = 3600.0  # Envoy: common_http_protocol_options.idle_timeout
    upstream_idle_timeout: float = 3600.0  # Istio: DestinationRule idleTimeout
    app_idle_timeout: float = 3.0  # towards the local app; Linkerd's figure, under common servers'
    tcp_idle_timeout: float = 3600.0  # Envoy: tcp_proxy idle_timeout
    connect_timeout: float = 10.0  # Istio: MeshConfig.connectTimeout
    dns_refresh_rate: float = 60.0  # Istio: MeshConfig.dnsRefreshRate; for answers without a TTL
    dns_servers: str = ""  # ADDRESS or ADDRESS:PORT, by commas; none: those of /etc/resolv.conf
    max_dns_addresses: int = 256  # addresses of one name that are used
    proxy_protocol: ProxyProtocol = ProxyProtocol()  # inbound ports that take it (see above)
    detect_timeout: float = 0.1  # a silent client on an undeclared port gets its upstream dialled
    detect_limit: float = 5.0  # after that the bytes there are decide
    linger: float = 1.0  # Envoy: delayed_close_timeout
    worker_timeout: float = 10.0  # a worker that has not run for so long is replaced
    access_log_flush: float = 1.0  # Envoy: file flush interval
    access_log_buffer_bytes: int = 8 * 1024 * 1024  # waiting for a slow sink


DEFAULTS = Settings()
