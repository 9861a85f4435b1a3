"""``meshproxy proxy``: run the sidecar."""

from __future__ import annotations

import os

import click
from click.core import ParameterSource

from meshproxy.cli.duration import Duration
from meshproxy.runtime.logs import LEVELS
from meshproxy.runtime.options import ProxyOptions
from meshproxy.wire.codecs import HTTP1, HTTP2


class _Workload(click.ParamType):  # type: ignore[type-arg]
    name = "ns/name"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        namespace, slash, name = str(value).partition("/")
        if not (namespace and slash and name) or "/" in name:
            self.fail(f"{value!r} is not NAMESPACE/NAME")
        return namespace, name


_PORT = click.IntRange(0, 65535)


@click.command()
@click.argument("role", required=False, type=click.Choice(["sidecar"]))
@click.option(
    "--config",
    envvar="MESHPROXY_CONFIG",
    default="/etc/meshproxy",
    show_default=True,
    show_envvar=True,
    help="File or directory of YAML; watched and reloaded.",
)
@click.option(
    "--workload",
    envvar="MESHPROXY_WORKLOAD",
    show_envvar=True,
    type=_Workload(),
    help="The workload that this sidecar stands beside. Default: from POD_NAMESPACE and POD_NAME,"
    " or the one in the configuration whose address is one of this host's.",
)
@click.option(
    "--certs",
    envvar="MESHPROXY_CERTS",
    default="/etc/certs",
    show_default=True,
    show_envvar=True,
    help="Directory with cert-chain.pem, key.pem and root-cert.pem (and ca-crl.pem, if any);"
    " watched and rotated. Where it is named, the sidecar is not ready without them.",
)
@click.option(
    "--trust-domain",
    envvar="TRUST_DOMAIN",
    default="cluster.local",
    show_default=True,
    show_envvar=True,
    help="SPIFFE trust domain.",
)
@click.option(
    "--concurrency",
    envvar="MESHPROXY_CONCURRENCY",
    show_envvar=True,
    type=click.IntRange(0, 64),
    help="Worker processes. Default (or 0): the CPU limit rounded up; 2 without a limit.",
)
@click.option(
    "--http1-codec",
    type=click.Choice(HTTP1),
    default=HTTP1[0],
    show_default=True,
    help="Who reads HTTP/1: fast is httptools, h11 the reference.",
)
@click.option(
    "--http2-codec",
    type=click.Choice(HTTP2),
    default=HTTP2[0],
    show_default=True,
    help="Who reads HTTP/2: fast is our own, h2 the reference.",
)
@click.option(
    "--bind",
    multiple=True,
    help="Address of the capture, status and Prometheus ports; may be repeated."
    " Default: 0.0.0.0, and :: where the host has IPv6.",
)
@click.option(
    "--outbound-port", type=_PORT, default=15001, show_default=True, help="Captured, from the app."
)
@click.option(
    "--inbound-port", type=_PORT, default=15006, show_default=True, help="Captured, to the app."
)
@click.option(
    "--interception-mode",
    envvar="ISTIO_META_INTERCEPTION_MODE",
    type=click.Choice(["REDIRECT", "TPROXY"], case_sensitive=False),
    default="REDIRECT",
    show_default=True,
    show_envvar=True,
    help="How rules capture inbound traffic. TPROXY needs CAP_NET_RAW and Linux 5.17.",
)
@click.option(
    "--original-source",
    envvar="MESHPROXY_ORIGINAL_SOURCE",
    is_flag=True,
    show_envvar=True,
    help="With TPROXY: call the app from its caller's address instead of 127.0.0.6. Only with rules"
    " made by `meshproxy iptables --original-source`; with others, connections loop.",
)
@click.option(
    "--require-redirect",
    envvar="MESHPROXY_REQUIRE_REDIRECT",
    is_flag=True,
    show_envvar=True,
    help="Be ready only while redirect rules bring this host's traffic here.",
)
@click.option(
    "--dns-capture",
    envvar="ISTIO_META_DNS_CAPTURE",
    is_flag=True,
    show_envvar=True,
    help="Rules redirect DNS to port 15053: be ready only while that is served.",
)
@click.option(
    "--admin-port", type=_PORT, default=15000, show_default=True, help="Admin API, on 127.0.0.1."
)
@click.option("--status-port", type=_PORT, default=15021, show_default=True, help="/healthz/ready.")
@click.option(
    "--prometheus-port", type=_PORT, default=15090, show_default=True, help="/stats/prometheus."
)
@click.option(
    "--drain-duration",
    envvar="TERMINATION_DRAIN_DURATION_SECONDS",
    type=Duration(),
    default="25s",
    show_default=True,
    show_envvar=True,
    help="Longest wait for work in flight after SIGTERM.",
)
@click.option(
    "--log-level",
    type=click.Choice(list(LEVELS), case_sensitive=False),
    default="info",
    show_default=True,
    help="Of the sidecar's own log, on stderr.",
)
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.option(
    "--access-log",
    default="",
    help="Access log for all requests, such as /dev/stdout. Default: as the configuration asks.",
)
@click.pass_context
def command(ctx: click.Context, /, role: str | None, **given: object) -> int:
    """Run the sidecar in the foreground.

    A port of 0 turns that listener off. SIGTERM and SIGINT drain, a second one stops at once;
    SIGHUP reloads; SIGUSR1 reopens log files. Exit status: 0 ended as asked, 1 failed while
    running, 2 wrong usage or a configuration that can't be used.
    """
    from meshproxy.app import run_proxy

    if given["require_redirect"] and not given["inbound_port"]:
        raise click.UsageError("--require-redirect needs an inbound port: give --inbound-port")
    given["certs_required"] = ctx.get_parameter_source("certs") != ParameterSource.DEFAULT
    if given["workload"] is None and os.environ.get("POD_NAME"):
        given["workload"] = (os.environ.get("POD_NAMESPACE", "default"), os.environ["POD_NAME"])
    return run_proxy(ProxyOptions(**given))  # type: ignore[arg-type]
