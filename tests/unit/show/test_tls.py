"""TLS in Envoy's shapes: transport sockets of clusters, and chains that end callers' mutual TLS."""

from __future__ import annotations

from typing import Any

import pytest

from meshproxy.base.addr import ServerAddr
from meshproxy.model.cluster import Endpoint, UpstreamHttp
from meshproxy.model.listener import Application, Direction, FilterChain, Listener
from meshproxy.model.route import TcpRoute, WeightedCluster
from meshproxy.model.secret import SecretRef
from meshproxy.model.snapshot import Snapshot
from meshproxy.model.tls import TlsMode, UpstreamTls
from meshproxy.show.clusters import cluster_json
from meshproxy.show.listeners import listener_json
from meshproxy.show.reading import Dump
from meshproxy.show.shape import Json
from meshproxy.show.tables import LISTENERS, Wanted, table
from tests.support.models import a_cluster

MESH = UpstreamTls(TlsMode.ISTIO_MUTUAL, sni="outbound_.80_._.a", names=("spiffe://td/ns/a/sa/b",))
ALPNS = ["istio", "istio-http/1.0", "istio-http/1.1", "istio-h2"]


def context(tls: UpstreamTls, http: UpstreamHttp = UpstreamHttp.HTTP1) -> Json:
    socket = cluster_json(a_cluster(tls=tls, http=http))["transport_socket"]
    assert socket["name"] == "envoy.transport_sockets.tls"
    found: Json = socket["typed_config"]
    assert found["@type"].endswith(".tls.v3.UpstreamTlsContext")
    return found


def names(found: Json) -> tuple[str, str]:
    """Of the certificate and the roots."""
    common = found["common_tls_context"]
    own = common.get("tls_certificate_sds_secret_configs", [{"name": ""}])
    roots = common["combined_validation_context"]["validation_context_sds_secret_config"]
    return own[0]["name"], roots["name"]


def test_mutual_tls_of_the_mesh() -> None:
    found = context(MESH)
    assert found["sni"] == MESH.sni
    assert names(found) == ("default", "ROOTCA")
    common = found["common_tls_context"]
    assert common["alpn_protocols"] == ["istio"]
    assert common["combined_validation_context"]["default_validation_context"] == {
        "match_typed_subject_alt_names": [
            {"san_type": "URI", "matcher": {"exact": "spiffe://td/ns/a/sa/b"}}
        ]
    }
    assert context(MESH, UpstreamHttp.UPGRADED) == context(MESH, UpstreamHttp.HTTP2)
    assert context(MESH, UpstreamHttp.HTTP2)["common_tls_context"]["alpn_protocols"] == [
        "istio",
        "h2",
    ]


def test_the_proxy_protocol_comes_before_tls() -> None:
    socket = cluster_json(a_cluster(tls=MESH, proxy_protocol=2))["transport_socket"]
    assert socket["name"] == "envoy.transport_sockets.upstream_proxy_protocol"
    found = socket["typed_config"]
    assert found["@type"].endswith(".proxy_protocol.v3.ProxyProtocolUpstreamTransport")
    assert found["config"] == {"version": "V2"}
    assert found["transport_socket"] == cluster_json(a_cluster(tls=MESH))["transport_socket"]
    socket = cluster_json(a_cluster(proxy_protocol=1))["transport_socket"]
    inner = socket["typed_config"]["transport_socket"]
    assert inner["name"] == "envoy.transport_sockets.raw_buffer"


def test_where_endpoints_are_judged_one_by_one() -> None:
    shown = cluster_json(
        a_cluster(
            "inbound|80||",  # so that its endpoints stand in it
            endpoints=(
                Endpoint(ServerAddr("10.0.0.1", 1), mtls=True),
                Endpoint(ServerAddr("10.0.0.2", 1)),
            ),
            tls=UpstreamTls(TlsMode.ISTIO_MUTUAL, True),
        )
    )
    assert "transport_socket" not in shown
    mutual, plain = shown["transport_socket_matches"]
    assert (mutual["match"], plain["match"]) == ({"tlsMode": "istio"}, {})
    assert plain["transport_socket"]["name"] == "envoy.transport_sockets.raw_buffer"
    first, second = shown["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert first["metadata"]["filter_metadata"] == {
        "envoy.transport_socket_match": {"tlsMode": "istio"}
    }
    assert "metadata" not in second


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        (UpstreamTls(TlsMode.SIMPLE), ("", "file-root:system")),
        (UpstreamTls(TlsMode.SIMPLE, secret=SecretRef(roots="/ca")), ("", "file-root:/ca")),
        (
            UpstreamTls(TlsMode.MUTUAL, secret=SecretRef("/c", "/k", "/ca")),
            ("file-cert:/c~/k", "file-root:/ca"),
        ),
        (
            UpstreamTls(TlsMode.MUTUAL, secret=SecretRef(credential="ns/s")),
            ("kubernetes://ns/s", "kubernetes://ns/s-cacert"),
        ),
    ],
)
def test_other_tls(tls: UpstreamTls, expected: tuple[str, str]) -> None:
    assert names(context(tls)) == expected


def test_what_is_not_verified() -> None:
    common = context(UpstreamTls(TlsMode.SIMPLE, verify=False))["common_tls_context"]
    assert common == {"validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED"}}


def test_names_and_revoked_certificates() -> None:
    tls = UpstreamTls(TlsMode.SIMPLE, names=("a.example",), secret=SecretRef(crl="/crl"))
    validation = context(tls)["common_tls_context"]["combined_validation_context"]
    assert validation["default_validation_context"] == {
        "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "a.example"}}],
        "crl": {"filename": "/crl"},
    }


def inbound(application: Application, strict: bool) -> Json:
    tcp = TcpRoute((WeightedCluster("a"),))
    text = "p asks for it" if strict else ""
    chains = tuple(
        FilterChain(name, application, port, tcp=tcp, mtls=True, refuse_plaintext=text)
        for name, port in (("80", 80), ("rest", 0))
    )
    listener = Listener("virtualInbound", Direction.INBOUND, True, 15006, ("0.0.0.0",), chains)
    return listener_json(listener, Snapshot())


def told(chain: Json) -> tuple[Any, ...]:
    """Port, transport, protocols, and whether a certificate is asked for."""
    match = chain.get("filter_chain_match", {})
    config = chain.get("transport_socket", {}).get("typed_config", {})
    return (
        match.get("destination_port"),
        match.get("transport_protocol"),
        match.get("application_protocols"),
        config.get("require_client_certificate"),
    )


HTTP_ALPNS = ["istio-http/1.0", "istio-http/1.1", "istio-h2"]


@pytest.mark.parametrize(
    ("application", "strict", "expected", "default"),
    [
        (
            Application.TCP,
            False,
            [(80, "tls", ALPNS, True), (80, None, None, None), (None, "tls", ALPNS, True)],
            (None, None, None, None),
        ),
        (
            Application.HTTP,
            True,
            [(80, "tls", None, True), (None, "tls", None, True)],
            None,
        ),
        (
            Application.DETECT,
            False,
            [
                (80, "tls", HTTP_ALPNS, True),
                (80, "tls", ["istio"], True),
                (80, None, ["http/1.1", "h2c"], None),
                (80, None, None, None),
                (None, "tls", HTTP_ALPNS, True),
                (None, "tls", ["istio"], True),
                (None, None, ["http/1.1", "h2c"], None),
            ],
            (None, None, None, None),
        ),
        (
            Application.DETECT,
            True,
            [
                (80, "tls", HTTP_ALPNS, True),
                (80, "tls", None, True),
                (None, "tls", HTTP_ALPNS, True),
                (None, "tls", None, True),
            ],
            None,
        ),
    ],
)
def test_chains_that_end_mutual_tls(
    application: Application,
    strict: bool,
    expected: list[tuple[Any, ...]],
    default: tuple[Any, ...] | None,
) -> None:
    shown = inbound(application, strict)
    assert [told(chain) for chain in shown["filter_chains"]] == expected
    last = shown.get("default_filter_chain")
    assert (None if last is None else told(last)) == default
    filters = [each["name"] for each in shown["listener_filters"]]
    assert "envoy.filters.listener.tls_inspector" in filters


def test_who_asks_for_it_is_shown() -> None:
    (first, _) = inbound(Application.TCP, True)["filter_chains"]
    own = first["metadata"]["filter_metadata"]["meshproxy"]
    assert own == {"refuse_plaintext": "p asks for it"}


def test_the_table_of_listeners() -> None:
    listener = inbound(Application.TCP, False)
    section = {
        "@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump",
        "dynamic_listeners": [{"name": "l", "active_state": {"listener": listener}}],
    }
    lines = table(LISTENERS, Dump({"configs": [section]}), Wanted()).splitlines()
    assert f"Trans: tls; App: {','.join(ALPNS)}; Addr: *:80" in lines[1]
    assert "Addr: *:80" in lines[2]
    assert "Trans" not in lines[2]
