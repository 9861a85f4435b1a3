"""TLS towards endpoints: by rule, or because they have a sidecar, and whom they may be."""

from __future__ import annotations

import pytest

from meshproxy.model.cluster import Cluster
from meshproxy.model.secret import WORKLOAD, SecretRef
from meshproxy.model.tls import TlsMode, UpstreamTls
from meshproxy.translate import Translator
from meshproxy.translate.documents import SourceText
from meshproxy.translate.options import Options
from tests.unit.translate.support import ME, problems_of, snapshot_of

HOST = "a.shop.svc.cluster.local"
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: a, namespace: shop}
spec: {clusterIP: 10.96.0.1, selector: {app: a}, ports: [{name: http, port: 80, targetPort: 8080}]}
"""
SNI = f"outbound_.80_._.{HOST}"


def pod(
    name: str,
    ip: str,
    more: str = "",
    account: str = "one",
    annotations: str = "{}",
    spec: str = "",
) -> str:
    return (
        f"---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop, "
        f"labels: {{app: a{more}}}, annotations: {annotations}}}\n"
        f"spec: {{serviceAccountName: '{account}'{spec}}}\nstatus: {{podIP: {ip}}}\n"
    )


LABEL = ", security.istio.io/tlsMode: istio"
IN_MESH = pod("p", "10.1.0.1", LABEL)
OUTSIDE = pod("q", "10.1.0.2", account="two")


def rule(spec: str, namespace: str = "shop") -> str:
    return (
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
        f"metadata: {{name: r, namespace: {namespace}}}\nspec: {{host: {HOST}, {spec}}}\n"
    )


def tls_rule(tls: str) -> str:
    return rule(f"trafficPolicy: {{tls: {{{tls}}}}}")


def peer(spec: str, namespace: str = "shop") -> str:
    return (
        "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\n"
        f"metadata: {{name: p, namespace: {namespace}}}\nspec: {spec}\n"
    )


def mesh(text: str) -> str:
    return f"---\nkind: MeshConfig\n{text}\n"


def cluster(*texts: str, subset: str = "", identity: bool = True, host: str = HOST) -> Cluster:
    made = snapshot_of(*texts, identity=identity)
    return made.clusters[f"outbound|80|{subset}|{host}"]


def mutual(*texts: str) -> dict[str, bool]:
    """Which endpoints are called with mutual TLS, as nothing asks for it."""
    found = cluster(SERVICE, *texts)
    on = found.tls is not None and found.tls.auto
    return {each.address.ip: on and each.mtls for each in found.endpoints}


def spiffe(account: str, domain: str = "cluster.local", namespace: str = "shop") -> str:
    return f"spiffe://{domain}/ns/{namespace}/sa/{account}"


# Auto mTLS.


def test_endpoints_with_a_sidecar_are_called_with_mutual_tls() -> None:
    assert mutual(IN_MESH, OUTSIDE) == {"10.1.0.1": True, "10.1.0.2": False}
    assert cluster(SERVICE, IN_MESH, OUTSIDE).tls == UpstreamTls(
        TlsMode.ISTIO_MUTUAL, True, SNI, (spiffe("one"), spiffe("two")), WORKLOAD
    )
    assert cluster(SERVICE, OUTSIDE).tls is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (pod("p", "10.1.0.1", LABEL), True),
        (pod("p", "10.1.0.1", annotations="{sidecar.istio.io/status: '{}'}"), True),
        (pod("p", "10.1.0.1", spec=", containers: [{name: app}, {name: istio-proxy}]"), True),
        (pod("p", "10.1.0.1", spec=", initContainers: [{name: meshproxy}]"), True),
        (pod("p", "10.1.0.1", spec=", containers: [{name: app}]"), False),
        # The label is the last word.
        (
            pod(
                "p",
                "10.1.0.1",
                ", security.istio.io/tlsMode: disabled",
                spec=", containers: [{name: istio-proxy}]",
            ),
            False,
        ),
    ],
)
def test_which_pods_have_a_sidecar(text: str, expected: bool) -> None:
    assert mutual(text) == {"10.1.0.1": expected}
    slices = (
        "---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: a, namespace: shop}\n"
        "subsets: [{addresses: [{ip: 10.1.0.1}], ports: [{name: http, port: 8080}]}]\n"
    )
    assert mutual(text, slices) == {"10.1.0.1": expected}


@pytest.mark.parametrize(
    ("spec", "expected", "names"),
    [
        (", serviceAccount: vm", True, (spiffe("vm"),)),
        ("", False, None),
        (", labels: {security.istio.io/tlsMode: istio}", True, ()),
        (", serviceAccount: vm, labels: {security.istio.io/tlsMode: disabled}", False, None),
    ],
)
def test_which_workload_entries_have_a_sidecar(
    spec: str, expected: bool, names: tuple[str, ...] | None
) -> None:
    """By their label, else by their account (Istio); without one nobody knows whom to expect."""
    text = (
        "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n"
        f"metadata: {{name: vm, namespace: shop, labels: {{app: a}}}}\n"
        f"spec: {{address: 10.1.0.9{spec}}}\n"
    )
    assert mutual(text) == {"10.1.0.9": expected}
    tls = cluster(SERVICE, text).tls
    assert (None if tls is None else tls.names) == names


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([peer("{mtls: {mode: STRICT}}")], True),
        ([peer("{mtls: {mode: DISABLE}}")], False),
        ([peer("{mtls: {mode: DISABLE}}", "istio-system")], False),
        ([peer("{mtls: {mode: DISABLE}}", "default")], True),
        (
            [
                peer("{mtls: {mode: DISABLE}}", "istio-system"),
                peer("{selector: {matchLabels: {app: a}}, mtls: {mode: PERMISSIVE}}"),
            ],
            True,
        ),
        ([peer("{selector: {matchLabels: {app: a}}, mtls: {mode: DISABLE}}")], False),
        ([peer("{selector: {matchLabels: {app: b}}, mtls: {mode: DISABLE}}")], True),
        # Ports are those of the workload, not of the service.
        (
            [peer("{selector: {matchLabels: {app: a}}, portLevelMtls: {8080: {mode: DISABLE}}}")],
            False,
        ),
        (
            [peer("{selector: {matchLabels: {app: a}}, portLevelMtls: {80: {mode: DISABLE}}}")],
            True,
        ),
        (
            [
                peer(
                    "{selector: {matchLabels: {app: a}}, mtls: {mode: DISABLE}, "
                    "portLevelMtls: {8080: {mode: STRICT}}}"
                )
            ],
            True,
        ),
    ],
)
def test_what_the_peers_own_policy_says(policies: list[str], expected: bool) -> None:
    assert mutual(IN_MESH, *policies) == {"10.1.0.1": expected}


def test_where_auto_mtls_is_off() -> None:
    assert cluster(SERVICE, IN_MESH, identity=False).tls is None
    assert cluster(SERVICE, IN_MESH, mesh("enableAutoMtls: false")).tls is None
    assert cluster(SERVICE, IN_MESH, mesh("enableAutoMtls: true")).tls is not None
    assert cluster(SERVICE, IN_MESH, tls_rule("mode: DISABLE")).tls is None


@pytest.mark.parametrize(("location", "expected"), [("EXTERNAL", False), ("INTERNAL", True)])
def test_service_entries(location: str, expected: bool) -> None:
    """What is outside of the mesh is spoken to as the app does it."""
    entry = (
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
        "metadata: {name: e, namespace: shop}\n"
        f"spec: {{hosts: [db.example], location: MESH_{location}, resolution: STATIC,\n"
        "  ports: [{number: 80, name: http, protocol: HTTP}], subjectAltNames: [db.example],\n"
        "  endpoints: [{address: 10.1.0.9, serviceAccount: db}]}\n"
    )
    found = cluster(entry, host="db.example")
    assert (found.tls is not None) is expected
    if found.tls is not None:
        assert found.tls.names == ("db.example", spiffe("db"))


@pytest.mark.parametrize(("pods", "expected"), [([IN_MESH], True), ([IN_MESH, OUTSIDE], False)])
def test_without_known_endpoints_all_must_have_a_sidecar(pods: list[str], expected: bool) -> None:
    text = rule("trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}")
    found = cluster(SERVICE, *pods, text)
    assert found.endpoints == ()
    assert (found.tls is not None) is expected
    assert found.tls is None or not found.tls.auto


def test_a_headless_service_is_judged_endpoint_by_endpoint() -> None:
    headless = SERVICE.replace("10.96.0.1", "None")
    found = cluster(headless, IN_MESH, OUTSIDE)
    assert found.tls is not None
    assert found.tls.auto
    assert [each.mtls for each in found.endpoints] == [True, False]


def test_subsets_have_a_name_of_their_own_and_everybodys_accounts() -> None:
    text = rule("subsets: [{name: v1, labels: {version: v1}}]")
    pods = [pod("p", "10.1.0.1", f"{LABEL}, version: v1"), pod("q", "10.1.0.2", LABEL, "two")]
    found = cluster(SERVICE, *pods, text, subset="v1")
    assert [each.address.ip for each in found.endpoints] == ["10.1.0.1"]
    assert found.tls is not None
    assert found.tls.sni == f"outbound_.80_.v1_.{HOST}"
    assert found.tls.names == (spiffe("one"), spiffe("two"))


def test_trust_domains() -> None:
    """The mesh's own word goes before the flag; aliases count as much as itself."""
    text = mesh("trustDomain: new\ntrustDomainAliases: [old, older]")
    made = snapshot_of(SERVICE, IN_MESH, text, identity=True, trust_domain="flag")
    tls = made.clusters[f"outbound|80||{HOST}"].tls
    assert tls is not None
    assert tls.names == (spiffe("one", "new"), spiffe("one", "old"), spiffe("one", "older"))
    assert (made.trust_domain, made.trust_domain_aliases) == ("new", ("old", "older"))
    assert snapshot_of(SERVICE, trust_domain="flag").trust_domain == "flag"


def test_a_pod_without_an_account_has_the_default_one() -> None:
    tls = cluster(SERVICE, pod("p", "10.1.0.1", LABEL, "")).tls
    assert tls is not None
    assert tls.names == (spiffe("default"),)


# By rule.


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("mode: SIMPLE", UpstreamTls(TlsMode.SIMPLE)),
        ("mode: SIMPLE, sni: x", UpstreamTls(TlsMode.SIMPLE, sni="x")),
        (
            "mode: SIMPLE, caCertificates: /ca, caCrl: /crl, subjectAltNames: [a, b]",
            UpstreamTls(
                TlsMode.SIMPLE, names=("a", "b"), secret=SecretRef(roots="/ca", crl="/crl")
            ),
        ),
        ("mode: SIMPLE, caCertificates: system", UpstreamTls(TlsMode.SIMPLE)),
        ("mode: SIMPLE, insecureSkipVerify: true", UpstreamTls(TlsMode.SIMPLE, verify=False)),
        (
            "mode: MUTUAL, clientCertificate: /c, privateKey: /k, caCertificates: /ca",
            UpstreamTls(TlsMode.MUTUAL, secret=SecretRef("/c", "/k", "/ca")),
        ),
        (
            "mode: SIMPLE, credentialName: s",
            UpstreamTls(TlsMode.SIMPLE, secret=SecretRef(credential="default/s")),
        ),
        (
            "mode: MUTUAL, credentialName: 'kubernetes://s'",
            UpstreamTls(TlsMode.MUTUAL, secret=SecretRef(credential="default/s")),
        ),
        (
            "mode: ISTIO_MUTUAL",
            UpstreamTls(TlsMode.ISTIO_MUTUAL, sni=SNI, names=(spiffe("one"), spiffe("two"))),
        ),
        (
            "mode: ISTIO_MUTUAL, sni: x, subjectAltNames: ['spiffe://y']",
            UpstreamTls(TlsMode.ISTIO_MUTUAL, sni="x", names=("spiffe://y",)),
        ),
    ],
)
def test_what_a_rule_asks_for(settings: str, expected: UpstreamTls) -> None:
    found = cluster(SERVICE, IN_MESH, OUTSIDE, tls_rule(settings))
    assert found.tls == expected
    assert found.refusal == ""


def test_mutual_tls_without_a_certificate_is_refused_and_not_left_out() -> None:
    found = cluster(SERVICE, IN_MESH, tls_rule("mode: ISTIO_MUTUAL"), identity=False)
    assert found.tls is None
    assert "DestinationRule shop/r" in found.refusal
    assert "ISTIO_MUTUAL" in found.refusal
    assert "--certs" in found.refusal


@pytest.mark.parametrize("mode", ["SIMPLE", "MUTUAL, clientCertificate: /c, privateKey: /k"])
def test_other_tls_needs_no_certificate_of_the_mesh(mode: str) -> None:
    found = cluster(SERVICE, tls_rule(f"mode: {mode}"), identity=False)
    assert found.tls is not None
    assert found.refusal == ""


@pytest.mark.parametrize(
    ("policy", "port", "subset", "expected"),
    [
        # A port's settings stand instead of the others, a subset's only where it has its own.
        ("tls: {mode: SIMPLE}, portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]",
         80, "", None),
        ("tls: {mode: SIMPLE}, portLevelSettings: [{port: {number: 80}, connectionPool: "
         "{tcp: {connectTimeout: 1s}}}]", 80, "", TlsMode.ISTIO_MUTUAL),
        ("tls: {mode: SIMPLE}", 80, "plain", None),
        ("tls: {mode: SIMPLE}", 80, "same", TlsMode.SIMPLE),
        ("tls: {mode: DISABLE}", 80, "same", None),
        ("loadBalancer: {simple: RANDOM}", 80, "plain", None),
        ("loadBalancer: {simple: RANDOM}", 80, "same", TlsMode.ISTIO_MUTUAL),
    ],
)  # fmt: skip
def test_ports_and_subsets(policy: str, port: int, subset: str, expected: TlsMode | None) -> None:
    subsets = (
        "subsets: [{name: plain, trafficPolicy: {tls: {mode: DISABLE}}, labels: {app: a}}, "
        "{name: same, labels: {app: a}}]"
    )
    text = rule(f"trafficPolicy: {{{policy}}}, {subsets}")
    found = cluster(SERVICE, IN_MESH, text, subset=subset)
    assert (found.tls.mode if found.tls else None) is expected


@pytest.mark.parametrize("host", ["'*.local'", "'*.shop.svc.cluster.local'"])
def test_a_rule_for_the_whole_mesh(host: str) -> None:
    text = (
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
        "metadata: {name: all, namespace: istio-system}\n"
        f"spec: {{host: {host}, trafficPolicy: {{tls: {{mode: ISTIO_MUTUAL}}}}}}\n"
    )
    found = cluster(SERVICE, OUTSIDE, text).tls
    assert found == UpstreamTls(TlsMode.ISTIO_MUTUAL, sni=SNI, names=(spiffe("two"),))
    own = cluster(SERVICE, OUTSIDE, text, tls_rule("mode: DISABLE"))
    assert own.tls is None


def test_names_of_a_service_entry_are_expected_where_a_rule_has_none() -> None:
    entry = (
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
        "metadata: {name: e, namespace: shop}\n"
        "spec: {hosts: [db.example], resolution: DNS, subjectAltNames: [other.example],\n"
        "  ports: [{number: 80, name: http, protocol: HTTP}]}\n"
    )

    def names(settings: str) -> tuple[str, ...]:
        text = tls_rule(settings).replace(HOST, "db.example")
        tls = cluster(entry, text, host="db.example").tls
        assert tls is not None
        return tls.names

    assert names("mode: SIMPLE") == ("other.example",)
    assert names("mode: SIMPLE, subjectAltNames: [x]") == ("x",)
    assert names("mode: SIMPLE, insecureSkipVerify: true") == ()
    assert problems_of(entry) == []


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ("mode: SIMPLE, clientCertificate: /c", "clientCertificate"),
        ("mode: ISTIO_MUTUAL, caCertificates: /c", "caCertificates"),
        ("mode: ISTIO_MUTUAL, credentialName: c", "credentialName"),
        ("mode: ISTIO_MUTUAL, insecureSkipVerify: true", "insecureSkipVerify"),
        ("mode: DISABLE, sni: x", "sni"),
    ],
)
def test_what_a_mode_does_not_use_is_said(settings: str, field: str) -> None:
    (problem,) = problems_of(SERVICE, tls_rule(settings))
    assert problem.field == f"spec.trafficPolicy.tls.{field}"
    assert "no effect" in problem.text


# Reloads.


def test_an_edit_changes_what_it_is_about() -> None:
    """Endpoints are made anew where a policy disables something, and are else the same objects."""

    def tls_of(text: str) -> tuple[object, bool]:
        sources = [SourceText("a", ME), SourceText("b", SERVICE + IN_MESH), SourceText("c", text)]
        made = translator.run(sources).snapshot
        assert made is not None
        found = made.clusters[f"outbound|80||{HOST}"]
        return found, found.endpoints[0].mtls

    translator = Translator(Options(("default", "me"), identity=True))
    first, mtls = tls_of(peer("{mtls: {mode: STRICT}}"))
    assert mtls
    same, _ = tls_of(peer("{mtls: {mode: PERMISSIVE}}"))
    assert same is first
    other, mtls = tls_of(peer("{mtls: {mode: DISABLE}}"))
    assert other is not first
    assert not mtls
