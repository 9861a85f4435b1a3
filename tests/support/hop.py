"""One hop of mutual TLS: a caller's sidecar and the called one's, each a real Envoy or ours.

    with Apps() as apps, called("envoy", leaf, apps) as server:
        with caller("ours", other, server.ports) as client:
            assert client.ask("http").status == 200

Both ends are known by what they show: their ports, their logs, their metrics.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from tests.support.envoy_sidecar import EnvoySidecar, Inbound, Outbound
from tests.support.http2 import Http2App, Http2Client
from tests.support.peers import LOCAL, Peer, ask, wait_until
from tests.support.pki import TRUST_DOMAIN, Leaf
from tests.support.servers import App, Server, echo_bytes
from tests.support.sidecar import (
    Sidecar,
    config,
    free_port,
    istio,
    mesh_config,
    plain,
    service,
    settings,
    workload,
)

KINDS = ("envoy", "ours")
PROTOCOLS = ("http", "http2", "tcp")
# The workloads' identities; NAMESPACE/SERVICE_ACCOUNT and in full.
FRONT, BACK = "default/front", "default/back"
FRONT_ID = f"spiffe://{TRUST_DOMAIN}/ns/default/sa/front"
BACK_ID = f"spiffe://{TRUST_DOMAIN}/ns/default/sa/back"

_SAID = b"more than the head of a TLS record"


class Apps:
    """The called workload's app, on a port for each protocol."""

    def __init__(self) -> None:
        self.http, self.http2, self.tcp = App(), Http2App(), Server(echo_bytes)

    @property
    def ports(self) -> dict[str, int]:
        return {"http": self.http.port, "http2": self.http2.port, "tcp": self.tcp.port}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self.http, self.http2, self.tcp):
            each.close()


def service_of(protocol: str) -> str:
    return f"back-{protocol}"


def sni(protocol: str, port: int) -> str:
    """What our outbound asks for."""
    return f"outbound_.{port}_._.{service_of(protocol)}.default.svc.cluster.local"


@dataclass(frozen=True)
class End:
    """``ports`` by protocol; ``sidecar`` is what runs."""

    ports: Mapping[str, int]
    sidecar: Any

    @property
    def kind(self) -> str:
        return "ours" if isinstance(self.sidecar, Sidecar) else "envoy"

    def refusals(self) -> list[str]:
        """Why peers were refused so far: of callers the log says it, of servers the access log."""
        if self.kind == "envoy":
            return self.envoy.refusals()
        logged = self.ours.log.splitlines() + self.ours.access_lines()
        return [line for line in logged if "refused" in line or '"TLS:' in line]

    def wait_for_refusal(self, text: str, before: int) -> None:
        """That a refusal after so many others says this."""
        wait_until(
            lambda: any(text in reason for reason in self.refusals()[before:]),
            lambda: f"{text!r} in {self.refusals()[before:]}",
        )

    @property
    def ours(self) -> Sidecar:
        assert isinstance(self.sidecar, Sidecar)
        return self.sidecar

    @property
    def envoy(self) -> EnvoySidecar:
        assert isinstance(self.sidecar, EnvoySidecar)
        return self.sidecar


class Called(End):
    """The end that callers reach."""


class Caller(End):
    """The end that an app calls."""

    def ask(self, protocol: str, path: str = "/") -> Told:
        """One request, or a few bytes, on a connection of their own."""
        port = self.ports[protocol]
        host = service_of(protocol)
        if protocol == "http":
            answer = ask(port, path, host=host)
            seen = dict(answer.seen.headers) if answer.status == 200 else {}
            return Told(answer.status, answer.text, _lower(seen))
        if protocol == "http2":
            with Http2Client(port) as client:
                stream = client.answer(client.request("GET", path, host))
                seen = dict(stream.json["headers"]) if stream.status == 200 else {}
                return Told(stream.status, stream.text, _lower(seen))
        with contextlib.suppress(ConnectionError), Peer.connect(port) as peer:
            if peer.send_quietly(_SAID) and peer.more() == _SAID:
                return Told(200, "", {})
        return Told(0, "", {})


@dataclass(frozen=True)
class Told:
    """``status`` 0: closed without an answer. ``seen``: the headers that reached the app."""

    status: int
    text: str
    seen: Mapping[str, str]


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


# The called end.


def free_ports() -> dict[str, int]:
    return {protocol: free_port() for protocol in PROTOCOLS}


@contextlib.contextmanager
def called(
    kind: str,
    leaf: Leaf,
    apps: Apps,
    *,
    strict: bool = True,
    ports: Mapping[str, int] | None = None,
    allow_connect: bool = False,
    old_app: bool = False,
    **more: Any,
) -> Iterator[Called]:
    """``allow_connect``: Envoy takes extended CONNECT, as ours always does. ``old_app``: it speaks
    HTTP/1.1 to the app, as ours does where the port is declared so."""
    ports = ports or free_ports()
    if kind == "envoy":
        inbound = [
            Inbound(
                port,
                "tcp" if protocol == "tcp" else "http",
                strict,
                allow_connect=allow_connect,
                old_app=old_app,
            )
            for protocol, port in apps.ports.items()
        ]
        with EnvoySidecar(leaf, inbound=inbound, ports=list(ports.values())) as envoy:
            yield Called(ports, envoy)
        return
    text = called_config(ports, apps.ports, "STRICT" if strict else "PERMISSIVE")
    with ours(text, leaf, **more) as sidecar:
        yield Called(ports, sidecar)


def called_config(ports: Mapping[str, int], apps: Mapping[str, int], mode: str) -> str:
    ingress = [(ports[each], each.upper(), apps[each]) for each in PROTOCOLS]
    return config(
        me("back"),
        plain(ingress=ingress),
        istio("PeerAuthentication", "default", {"mtls": {"mode": mode}}),
        settings(accessLogFlush="20ms"),
    )


# The caller's end.


@contextlib.contextmanager
def caller(
    kind: str,
    leaf: Leaf,
    to: Mapping[str, int],
    *,
    names: Sequence[str] = (BACK_ID,),
    mutual: bool = True,
    upgrade: bool = False,
    **more: Any,
) -> Iterator[Caller]:
    """``to``: the ports of the called end; ``names``: who is expected there (ours knows it from
    the endpoints' service account). ``upgrade``: ours goes on in HTTP/2, whatever it came in."""
    ports = free_ports()
    if kind == "envoy":
        outbound = [
            Outbound(to[each], tuple(names), each, sni(each, ports[each]), mutual)
            for each in PROTOCOLS
        ]
        with EnvoySidecar(leaf, outbound=outbound, ports=list(ports.values())) as envoy:
            yield Caller(ports, envoy)
        return
    mode = "ISTIO_MUTUAL" if mutual else "DISABLE"
    with ours(caller_config(ports, to, mode, upgrade), leaf, **more) as sidecar:
        yield Caller(ports, sidecar)


def caller_config(
    ports: Mapping[str, int],
    to: Mapping[str, int],
    mode: str = "ISTIO_MUTUAL",
    upgrade: bool = False,
) -> str:
    """Each protocol's service has a port of its own, and one endpoint, which runs as ``back``."""
    documents = []
    for each in PROTOCOLS:
        name = service_of(each)
        endpoint = workload(f"{name}-1", name, {each: to[each]})
        endpoint["spec"]["serviceAccount"] = "back"
        tls = {"host": name, "trafficPolicy": {"tls": {"mode": mode}}}
        documents += [
            service(name, ports[each], each),
            endpoint,
            *([istio("DestinationRule", name, tls)] if mode else []),
        ]
    if upgrade:
        documents.append(mesh_config(h2UpgradePolicy="UPGRADE"))
    egress = [(ports[each], each.upper()) for each in PROTOCOLS]
    return config(me("front"), *documents, plain(egress), settings(accessLogFlush="20ms"))


def me(account: str) -> dict[str, Any]:
    labels = {"app": "me", "version": "v9"}
    spec = {"address": LOCAL, "labels": labels, "serviceAccount": account}
    return istio("WorkloadEntry", "me", spec)


@contextlib.contextmanager
def ours(text: str, leaf: Leaf, **more: Any) -> Iterator[Sidecar]:
    """Our sidecar with certificates of its own: ``certs`` in its folder, a link to another one."""
    sidecar = Sidecar(text, **more)
    certs = sidecar.folder / "certs"
    certs.symlink_to(leaf.write(sidecar.folder / "certs-0"))
    sidecar.argv += ["--certs", str(certs)]
    with sidecar:
        yield sidecar
