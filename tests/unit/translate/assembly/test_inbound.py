"""What calls the app: captured ports, and those that a Sidecar opens."""

from __future__ import annotations

import pytest

from meshproxy.base.addr import ServerAddr
from meshproxy.model.cluster import ClusterKind, UpstreamHttp
from meshproxy.model.listener import Application, Direction, FilterChain, Listener
from meshproxy.model.secret import SecretRef
from meshproxy.model.snapshot import Snapshot
from meshproxy.model.tls import DownstreamTls, ServerMode, TlsParameters, TlsVersion
from meshproxy.model.workload import Workload
from tests.unit.translate.support import Call, follow, problems_of, snapshot_of, translated

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: mine}
spec:
  selector: {app: me}
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: grpc, port: 81, targetPort: 8081}
  - {name: tcp, port: 82}
  - {name: x, port: 83}
"""


def sidecar(*entries: str) -> str:
    lines = "".join(f"  {entry}\n" for entry in entries)
    return (
        f"apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: s}}\nspec:\n{lines}"
    )


def enters(made: Snapshot, port: int, http: bool = True) -> str:
    return follow(made, "virtualInbound", Call(port, "10.0.0.1", http)).cluster


@pytest.mark.parametrize(
    ("port", "application", "http"),
    [
        (8080, Application.HTTP, UpstreamHttp.HTTP1),
        (8081, Application.HTTP, UpstreamHttp.HTTP2),
        (82, Application.TCP, UpstreamHttp.HTTP1),
        (83, Application.DETECT, UpstreamHttp.AS_DOWNSTREAM),
    ],
)
def test_ports_of_services(port: int, application: Application, http: UpstreamHttp) -> None:
    made = snapshot_of(SERVICE)
    found = follow(made, "virtualInbound", Call(port, "10.0.0.1"))
    assert found.cluster == f"inbound|{port}||"
    assert (found.chain.application, found.chain.name) == (application, f"0.0.0.0_{port}")
    cluster = made.clusters[found.cluster]
    assert (cluster.http, cluster.kind) == (http, ClusterKind.ORIGINAL_DST)
    assert (cluster.source_v4, cluster.source_v6) == ("127.0.0.6", "::6")
    assert (cluster.idle_timeout, cluster.service.name) == (3.0, "mine")


def test_under_tproxy() -> None:
    """Captured unchanged; called from the caller's address where the rules allow for it."""
    made = snapshot_of(SERVICE, transparent=True)
    assert made.listeners["virtualInbound"].transparent
    assert not made.listeners["virtualOutbound"].transparent
    assert made.clusters["inbound|8080||"].source_v4 == "127.0.0.6"
    made = snapshot_of(SERVICE, transparent=True, keep_source=True)
    for name in ("inbound|8080||", "InboundPassthroughCluster"):
        cluster = made.clusters[name]
        assert (cluster.keep_source, cluster.source_v4, cluster.source_v6) == (True, "", "")
    assert not made.clusters["PassthroughCluster"].keep_source


def test_ports_of_no_service_are_passed_on() -> None:
    made = snapshot_of(SERVICE)
    assert enters(made, 9999) == "InboundPassthroughCluster"
    assert enters(made, 9999, http=False) == "InboundPassthroughCluster"
    assert made.listeners["virtualInbound"].chains[-1].application is Application.DETECT


def test_the_oldest_service_names_a_shared_port() -> None:
    twin = SERVICE.replace("name: mine", "name: aged").replace("name: http", "name: tcp-x")
    made = snapshot_of(SERVICE, twin)
    assert made.clusters["inbound|8080||"].service.name == "aged"
    assert follow(made, "virtualInbound", Call(8080)).chain.application is Application.TCP


def test_ingress_takes_the_place_of_services() -> None:
    text = sidecar(
        "ingress:",
        "- {port: {number: 8080, protocol: HTTP}, defaultEndpoint: '127.0.0.1:3000'}",
        "- {port: {number: 8082, protocol: TCP}, defaultEndpoint: '0.0.0.0:3001'}",
        "- {port: {number: 8083, protocol: TCP}}",
    )
    made = snapshot_of(SERVICE, text)
    assert enters(made, 8080) == "inbound|8080||"
    assert enters(made, 8081) == "InboundPassthroughCluster"
    local = made.clusters["inbound|8080||"]
    assert local.kind is ClusterKind.STATIC
    assert [each.address for each in local.endpoints] == [ServerAddr("127.0.0.1", 3000)]
    assert (local.source_v4, local.service.name) == ("", "mine")
    own = made.clusters["inbound|8082||"]
    assert [each.address for each in own.endpoints] == [ServerAddr("10.0.0.1", 3001)]
    assert own.source_v4 == "127.0.0.6"
    assert made.clusters["inbound|8083||"].kind is ClusterKind.ORIGINAL_DST


FILES = "serverCertificate: /c, privateKey: /k"
ROOTS = f"{FILES}, caCertificates: /r, caCrl: /l"


def own_tls(tls: str, protocol: str = "HTTPS") -> str:
    port = f"{{number: 2, protocol: {protocol}}}"
    return sidecar("ingress:", f"- {{port: {port}, tls: {{{tls}}}}}")


def chain_of(*texts: str, identity: bool = True) -> FilterChain:
    return follow(snapshot_of(*texts, identity=identity), "virtualInbound", Call(2)).chain


DISABLED = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: modes}
spec: {mtls: {mode: DISABLE}}
"""


@pytest.mark.parametrize(
    ("tls", "mode", "secret"),
    [
        (f"mode: SIMPLE, {FILES}", "SIMPLE", SecretRef("/c", "/k")),
        (f"mode: SIMPLE, {FILES}, caCertificates: /r", "SIMPLE", SecretRef("/c", "/k")),
        (f"mode: MUTUAL, {ROOTS}", "MUTUAL", SecretRef("/c", "/k", "/r", "/l")),
        (f"mode: OPTIONAL_MUTUAL, {ROOTS}", "OPTIONAL_MUTUAL", SecretRef("/c", "/k", "/r", "/l")),
    ],
)
def test_tls_of_a_ports_own(tls: str, mode: str, secret: SecretRef) -> None:
    chain = chain_of(DISABLED, own_tls(tls))
    assert chain.tls == DownstreamTls(ServerMode(mode), secret)
    assert not chain.mtls
    assert "port 2" in chain.refuse_plaintext


@pytest.mark.parametrize(
    ("protocol", "inside"), [("HTTPS", Application.HTTP), ("TLS", Application.TCP)]
)
def test_what_is_inside_of_a_ports_own_tls(protocol: str, inside: Application) -> None:
    text = own_tls(f"mode: SIMPLE, {FILES}", protocol)
    assert chain_of(DISABLED, text).application is inside
    assert chain_of(text).application is inside, "also where the mesh's is ended (Istio)"


@pytest.mark.parametrize(
    ("mode", "identity", "own"),
    [
        ("DISABLE", True, True),
        ("PERMISSIVE", True, False),
        ("STRICT", True, False),
        ("STRICT", False, False),
        # Without a certificate of the workload's it is as DISABLE.
        ("PERMISSIVE", False, True),
    ],
)
def test_the_mesh_goes_before_a_ports_own_tls(mode: str, identity: bool, own: bool) -> None:
    texts = (DISABLED.replace("DISABLE", mode), own_tls(f"mode: SIMPLE, {FILES}"))
    chain = chain_of(*texts, identity=identity)
    assert (chain.tls is not None) is own
    assert chain.mtls is (not own)
    found = [each for each in problems_of(*texts, identity=identity) if "tls" in each.field]
    assert [each.field for each in found] == ([] if own else ["spec.ingress[0].tls"])


@pytest.mark.parametrize(
    "tls",
    [
        f"mode: MUTUAL, {ROOTS}, verifyCertificateHash: [aa]",
        f"mode: MUTUAL, {ROOTS}, verifyCertificateSpki: [aa]",
        f"mode: MUTUAL, {ROOTS}, caCertCredentialName: a",
        "mode: PASSTHROUGH",
    ],
)
def test_what_a_ports_own_tls_can_not_do_lets_nobody_in(tls: str) -> None:
    made = snapshot_of(DISABLED, own_tls(tls), identity=True)
    assert "ingress tls" in made.clusters["inbound|2||"].refusal
    chain = chain_of(DISABLED, own_tls(tls))
    assert chain.tls is not None
    assert chain.tls.mode is ServerMode.MUTUAL
    assert [each.field for each in problems_of(DISABLED, own_tls(tls))]


def test_parameters_of_a_ports_own_tls() -> None:
    mesh = (
        "kind: MeshConfig\ntlsDefaults: {minProtocolVersion: TLSV1_3, ecdhCurves: [P-384], "
        "cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256]}\n"
    )
    text = own_tls(f"mode: SIMPLE, {FILES}, maxProtocolVersion: TLSV1_3")
    ciphers = ("ECDHE-RSA-AES128-GCM-SHA256",)
    wanted = TlsParameters(TlsVersion.V1_3, TlsVersion.V1_3, ciphers, "secp384r1")
    chain = chain_of(mesh, DISABLED, text)
    assert chain.tls is not None
    assert chain.tls.parameters == wanted
    other = own_tls(f"mode: SIMPLE, {FILES}, minProtocolVersion: TLSV1_2")
    chain = chain_of(mesh, DISABLED, other)
    assert chain.tls is not None
    assert chain.tls.parameters.least is TlsVersion.V1_2


def test_an_ingress_to_a_unix_socket_is_refused() -> None:
    text = sidecar("ingress:", "- {port: {number: 1}, defaultEndpoint: 'unix:///a'}")
    assert "unix" in snapshot_of(text).clusters["inbound|1||"].refusal


def test_the_listener_can_be_turned_off() -> None:
    assert "virtualInbound" not in snapshot_of(inbound_port=0).listeners


PLAIN = sidecar(
    "egress:",
    "- {port: {number: 9000, protocol: HTTP}, captureMode: NONE, hosts: ['*/*']}",
    "- {port: {number: 9001, protocol: TCP}, captureMode: NONE, bind: 127.0.0.5, hosts: ['*/*']}",
    "- {port: {number: 9002}, captureMode: NONE, hosts: ['*/*']}",
    "ingress:",
    "- {port: {number: 8080, protocol: HTTP}, captureMode: NONE,",
    "   defaultEndpoint: '127.0.0.1:3000'}",
)


def other(name: str, port: int, ip: str, kind: str = "http") -> str:
    return (
        f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n"
        f"spec: {{clusterIP: {ip}, ports: [{{name: {kind}, port: {port}}}]}}\n"
    )


OTHERS = (
    other("a", 9000, "10.96.0.1")
    + other("b", 9000, "10.96.0.2")
    + other("c", 9001, "10.96.0.3", "tcp")
    + other("d", 9002, "10.96.0.4")
    + other("e", 80, "10.96.0.5")
)


def cluster(name: str, port: int) -> str:
    return f"outbound|{port}||{name}.default.svc.cluster.local"


def listener(made: Snapshot, name: str) -> Listener:
    found = made.listeners[name]
    assert not found.captured
    assert len(found.chains) == 1
    return found


def test_plain_egress_ports() -> None:
    made = snapshot_of(OTHERS, PLAIN)
    http = listener(made, "127.0.0.1_9000")
    assert (http.direction, http.port, http.bind) == (Direction.OUTBOUND, 9000, ("127.0.0.1",))
    assert follow(made, http.name, Call(9000, host="a")).cluster == cluster("a", 9000)
    assert follow(made, http.name, Call(9000, host="b.default")).cluster == cluster("b", 9000)
    assert follow(made, http.name, Call(9000, host="e")).cluster == "PassthroughCluster"
    tcp = listener(made, "127.0.0.5_9001")
    assert follow(made, tcp.name, Call(9001, http=False)).cluster == cluster("c", 9001)
    either = listener(made, "127.0.0.1_9002")
    assert follow(made, either.name, Call(9002, host="d")).cluster == cluster("d", 9002)
    assert follow(made, either.name, Call(9002, http=False)).cluster == cluster("d", 9002)


def test_a_plain_ingress_port() -> None:
    made = snapshot_of(PLAIN)
    found = listener(made, "10.0.0.1_8080")
    assert (found.direction, found.bind) == (Direction.INBOUND, ("10.0.0.1",))
    assert follow(made, found.name, Call(8080)).cluster == "inbound|8080||"
    assert made.clusters["inbound|8080||"].source_v4 == ""
    away = snapshot_of(PLAIN, host_addresses=frozenset({"10.5.5.5"}))
    assert listener(away, "0.0.0.0_8080").bind == ("0.0.0.0",)


def test_a_plain_port_beside_the_captured_one() -> None:
    text = sidecar(
        "egress:",
        "- {port: {number: 9000, protocol: HTTP}, captureMode: NONE,",
        "   hosts: [./a.default.svc.cluster.local]}",
        "- {hosts: ['*/*']}",
    )  # fmt: skip
    made = snapshot_of(OTHERS, text)
    assert follow(made, "127.0.0.1_9000", Call(9000, host="b")).cluster == "PassthroughCluster"
    assert follow(made, "virtualOutbound", Call(9000, host="b")).cluster == cluster("b", 9000)
    assert set(made.route_configs) == {"80", "9000", "9002", "127.0.0.1_9000"}


def test_a_plain_ingress_port_that_leads_nowhere() -> None:
    text = sidecar("ingress:", "- {port: {number: 8080, protocol: HTTP}, captureMode: NONE}")
    assert "no defaultEndpoint" in snapshot_of(text).clusters["inbound|8080||"].refusal
    (problem,) = problems_of(text)
    assert (problem.field, problem.line) == ("spec.ingress[0].defaultEndpoint", 6)


def test_odd_plain_ports_are_said() -> None:
    nothing = problems_of(PLAIN.replace("9001", "7001"), OTHERS)
    assert [(each.field, "none of its hosts" in each.text) for each in nothing] == [
        ("spec.egress[1].port", True)
    ]
    both = problems_of(PLAIN, OTHERS, other("f", 9001, "10.96.0.9", "tcp"))
    assert [each.field for each in both] == ["spec.egress[1].port"]
    assert "2 services" in both[0].text


def test_endpoints_of_the_own_app_are_the_own_workload() -> None:
    endpoint = snapshot_of(PLAIN).clusters["inbound|8080||"].endpoints[0]
    assert isinstance(endpoint.workload, Workload)
    assert endpoint.workload.name == "me"


POD = """
apiVersion: v1
kind: Pod
metadata: {name: me, labels: {app: me}}
spec: {containers: [{name: app, ports: [{name: web, containerPort: 8080}]}]}
status: {podIP: 10.0.0.1, conditions: [{type: Ready, status: "False"}]}
"""


def test_ports_are_there_before_the_app_is_ready() -> None:
    """It may become ready only by being asked through its sidecar."""
    service = SERVICE.replace("targetPort: 8080", "targetPort: web")
    found = translated(POD, service)
    assert found.snapshot is not None
    assert enters(found.snapshot, 8080) == "inbound|8080||"
    assert not found.snapshot.clusters["outbound|80||mine.default.svc.cluster.local"].endpoints
    slice_ = (
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
        "metadata: {name: mine, labels: {kubernetes.io/service-name: mine}}\naddressType: IPv4\n"
        "ports: [{name: http, port: 8080}]\n"
        "endpoints: [{addresses: [10.0.0.1], conditions: {ready: false}}]\n"
    )
    by_slice = translated(POD, service, slice_)
    assert by_slice.snapshot is not None
    assert enters(by_slice.snapshot, 8080) == "inbound|8080||"


def test_ports_of_a_service_entry_that_selects_the_workload() -> None:
    entry = (
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: e}\nspec:\n"
        "  hosts: [e.example]\n  workloadSelector: {labels: {app: me}}\n  resolution: STATIC\n"
        "  location: MESH_INTERNAL\n"
        "  ports: [{number: 90, name: http, protocol: HTTP, targetPort: 9090}]\n"
    )
    assert enters(snapshot_of(entry), 9090) == "inbound|9090||"


@pytest.mark.parametrize(
    ("created", "application"), [("", Application.TCP), ("2024-01-01T00:00:00Z", Application.HTTP)]
)
def test_which_service_a_port_belongs_to(created: str, application: Application) -> None:
    """The older one's, else the first by its host: "-" comes before "."."""
    when = f", creationTimestamp: {created}" if created else ""

    def service(name: str, port: str, more: str = "") -> str:
        return (
            f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}{more}}}\n"
            f"spec: {{selector: {{app: me}}, "
            f"ports: [{{name: {port}, port: 80, targetPort: 8080}}]}}\n"
        )

    made = snapshot_of(service("web", "http"), service("web-tcp", "tcp", when))
    found = follow(made, "virtualInbound", Call(8080, "10.0.0.1"))
    assert found.chain.application is application
