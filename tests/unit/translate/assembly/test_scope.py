"""What a sidecar sees: exportTo and Sidecar resources."""

from __future__ import annotations

import pytest

from tests.unit.translate.support import ME, Call, follow, snapshot_of, translated


def service(name: str, namespace: str, port: int = 80, extra: str = "") -> str:
    return (
        f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}"
        f"{extra}}}\nspec: {{clusterIP: 10.96.{len(name)}.{len(namespace)}, "
        f"ports: [{{name: http, port: {port}}}]}}\n"
    )


def sidecar(egress: str, namespace: str = "default", name: str = "s", selector: str = "{}") -> str:
    choose = f"workloadSelector: {{labels: {selector}}}, " if selector != "{}" else ""
    return (
        f"---\napiVersion: networking.istio.io/v1\nkind: Sidecar\n"
        f"metadata: {{name: {name}, namespace: {namespace}}}\nspec: {{{choose}egress: {egress}}}\n"
    )


SERVICES = (
    service("a", "default")
    + service("bb", "default")
    + service("a", "other")
    + service("c", "third")
)


def seen(*texts: str) -> set[str]:
    """Hosts with a virtual host on port 80."""
    made = snapshot_of(SERVICES, *texts)
    if "80" not in made.route_configs:
        return set()
    keys = made.route_configs["80"].hosts
    return {key.removeprefix("80/").removesuffix(".svc.cluster.local") for key in keys}


def test_everything_without_a_sidecar() -> None:
    assert seen() == {"a.default", "bb.default", "a.other", "c.third"}


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ("['*/*']", {"a.default", "bb.default", "a.other", "c.third"}),
        ("['./*']", {"a.default", "bb.default"}),
        ("['other/*']", {"a.other"}),
        ("['~/*']", set()),
        ("['*/a.default.svc.cluster.local']", {"a.default"}),
        (
            "['*/*.third.svc.cluster.local', ./a.default.svc.cluster.local]",
            {"a.default", "c.third"},
        ),
        ("['*/*', '~third/*']", {"a.default", "bb.default", "a.other"}),
        ("[other/c.third.svc.cluster.local]", set()),
    ],
)
def test_egress_hosts(hosts: str, expected: set[str]) -> None:
    assert seen(sidecar(f"[{{hosts: {hosts}}}]")) == expected


def test_which_sidecar_counts() -> None:
    mine = sidecar("[{hosts: [third/*]}]", name="mine", selector="{app: me}")
    others = sidecar("[{hosts: [other/*]}]", name="others", selector="{app: you}")
    namespace = sidecar("[{hosts: [./*]}]")
    root = sidecar("[{hosts: [other/*]}]", namespace="istio-system")
    elsewhere = sidecar("[{hosts: [other/*]}]", namespace="third")
    assert seen(root, namespace, others, mine) == {"c.third"}
    assert seen(root, namespace, others) == {"a.default", "bb.default"}
    assert seen(root) == {"a.other"}
    assert len(seen(elsewhere)) == 4


def test_a_port_of_its_own() -> None:
    made = snapshot_of(
        SERVICES,
        sidecar("[{port: {number: 80, protocol: HTTP}, hosts: [other/*]}, {hosts: [./*]}]"),
    )
    assert made.route_configs["80"].hosts == ("80/a.other.svc.cluster.local",)
    assert set(made.clusters) >= {
        "outbound|80||a.other.svc.cluster.local",
        "outbound|80||bb.default.svc.cluster.local",
    }


@pytest.mark.parametrize(
    ("export", "visible"), [("*", True), (".", False), ("default", True), ("third\\,default", True)]
)
def test_export_of_services(export: str, visible: bool) -> None:
    extra = f', annotations: {{networking.istio.io/exportTo: "{export}"}}'.replace("\\,", ",")
    assert ("d.other" in seen(service("d", "other", extra=extra))) is visible


def test_the_meshs_default_export() -> None:
    mesh = "kind: MeshConfig\ndefaultServiceExportTo: ['.']\n"
    assert seen(mesh) == {"a.default", "bb.default"}


def rule(namespace: str, host: str, to: str, export: str = "") -> str:
    exported = f"exportTo: {export}, " if export else ""
    return (
        f"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        f"metadata: {{name: v, namespace: {namespace}}}\n"
        f"spec: {{{exported}hosts: [{host}], "
        f"http: [{{route: [{{destination: {{host: {to}}}}}]}}]}}\n"
    )


A = "a.default.svc.cluster.local"
C = "c.third.svc.cluster.local"


def target(*texts: str) -> str:
    made = snapshot_of(SERVICES, *texts)
    action = made.hosts[f"80/{A}"].routes[0].action
    return action.clusters[0].cluster.split("|")[3]  # type: ignore[union-attr]


def test_export_of_rules() -> None:
    assert target(rule("other", A, C)) == C
    assert target(rule("other", A, C, "['.']")) == A
    assert target(rule("other", A, C, "[default]")) == C
    assert (
        target("kind: MeshConfig\ndefaultVirtualServiceExportTo: ['.']\n", rule("other", A, C)) == A
    )


def test_what_a_rule_sends_to_comes_along() -> None:
    narrow = sidecar(f"[{{hosts: [./{A}]}}]")
    made = snapshot_of(SERVICES, narrow, rule("default", A, C))
    assert f"outbound|80||{C}" in made.clusters
    assert f"80/{C}" not in made.hosts
    assert "outbound|80||bb.default.svc.cluster.local" not in made.clusters


def test_a_service_of_the_own_namespace_may_be_sent_to_whoever_sees_it() -> None:
    extra = ", annotations: {networking.istio.io/exportTo: third}"
    hidden = service("hh", "default", extra=extra)
    name = "outbound|80||hh.default.svc.cluster.local"
    assert name not in snapshot_of(SERVICES, hidden).clusters
    assert name in snapshot_of(SERVICES, hidden, rule("default", A, "hh")).clusters
    foreign = hidden.replace("namespace: default", "namespace: other")
    elsewhere = rule("default", A, "hh.other.svc.cluster.local")
    assert (
        name.replace("default", "other") not in snapshot_of(SERVICES, foreign, elsewhere).clusters
    )


def test_a_short_name_is_a_service_of_the_namespace_before_it_is_a_host() -> None:
    """As Istio has it; where there is no such service, it may be all of a ServiceEntry's host."""
    api = entry("third", "z", "10.1.0.1").replace("api.example", "hh").replace("90", "80")
    assert target(rule("default", A, "hh"), api) == "hh"
    near = service("hh", "default")
    assert target(rule("default", A, "hh"), api, near) == "hh.default.svc.cluster.local"


def test_the_policy_for_unknown_hosts() -> None:
    closed = (
        "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s}\n"
        "spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}\n"
    )
    mesh = "kind: MeshConfig\noutboundTrafficPolicy: {mode: REGISTRY_ONLY}\n"
    assert snapshot_of().outbound_allow_any
    assert not snapshot_of(closed).outbound_allow_any
    assert not snapshot_of(mesh).outbound_allow_any
    assert snapshot_of(mesh, closed.replace("REGISTRY_ONLY", "ALLOW_ANY")).outbound_allow_any
    fallback = snapshot_of(mesh).listeners["virtualOutbound"].chains[-1]
    assert fallback.tcp is not None
    assert fallback.tcp.clusters[0].cluster == "BlackHoleCluster"


def test_names_in_the_own_namespace() -> None:
    other = translated(ME.replace("default", "third"), SERVICES, me="third/me").snapshot
    assert other is not None
    assert "c" in other.hosts[f"80/{C}"].domains
    assert "a" not in other.hosts[f"80/{A}"].domains


def entry(namespace: str, name: str, address: str, more: str = "") -> str:
    return (
        "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
        f"metadata: {{name: {name}, namespace: {namespace}}}\n"
        f"spec: {{hosts: [api.example], {more}addresses: [{address}], resolution: STATIC, "
        f"endpoints: [{{address: {address}}}], "
        "ports: [{number: 90, name: tcp, protocol: TCP}]}\n"
    )


def owner(*texts: str) -> str:
    """The address of the one who has the host."""
    found = translated(ME, *texts)
    assert found.snapshot is not None
    cluster = found.snapshot.clusters.get("outbound|90||api.example")
    return cluster.endpoints[0].address.ip if cluster else ""


def test_who_has_a_host_that_several_namespaces_declare() -> None:
    one, two, three = "10.1.0.1", "10.1.0.2", "10.1.0.3"
    near = entry("default", "z", one)
    far, further = entry("aaa", "b", two), entry("bbb", "a", three)
    assert owner(near, far) == one
    assert owner(far, further) == two
    to_us = entry("bbb", "a", three, "exportTo: [default], ")
    assert owner(far, to_us) == three
    assert owner(near, far, sidecar("[{hosts: [aaa/*]}]")) == two
    assert owner(near, far, further, sidecar("[{hosts: [bbb/*, aaa/*]}]")) == two
    assert owner(near, sidecar("[{hosts: [aaa/*]}]")) == ""


def test_on_a_port_of_a_sidecar_it_is_the_one_that_has_that_port() -> None:
    near = entry("default", "z", "10.1.0.1").replace("number: 90", "number: 91")
    egress = "[{port: {number: 90, protocol: TCP}, hosts: ['*/*']}]"
    assert owner(near, entry("aaa", "b", "10.1.0.2"), sidecar(egress)) == "10.1.0.2"


def test_there_it_comes_by_its_own_age() -> None:
    """And not by that of the one that has the host elsewhere."""

    def aged(text: str, created: str) -> str:
        text = text.replace("addresses: [10.1.0.1], ", "")
        return text.replace("metadata: {", f"metadata: {{creationTimestamp: {created}, ")

    host = aged(entry("default", "x", "10.1.0.1"), "2024-01-01T00:00:00Z").replace(" 90", " 91")
    rival = aged(entry("aaa", "y", "10.1.0.1"), "2024-01-03T00:00:00Z")
    other = aged(entry("aaa", "z", "10.1.0.1"), "2024-01-02T00:00:00Z")
    egress = sidecar("[{port: {number: 90, protocol: TCP}, hosts: ['*/*']}]")
    made = snapshot_of(host, rival, other.replace("api.example", "b.example"), egress)
    assert follow(made, "virtualOutbound", Call(90, http=False)).cluster == "outbound|90||b.example"


def test_own_services_and_those_exported_here_come_by_their_age() -> None:
    """And before those exported to all. Who comes first has the port (Istio)."""

    def without_address(namespace: str, host: str, export: str, created: str) -> str:
        text = entry(namespace, host, "10.1.0.1", f"exportTo: {export}, ")
        text = text.replace("addresses: [10.1.0.1], ", "").replace("api.example", f"{host}.example")
        return text.replace("metadata: {", f"metadata: {{creationTimestamp: {created}, ")

    everybodys = without_address("aaa", "a", "['*']", "2024-01-01T00:00:00Z")
    ours = without_address("aaa", "b", "[default]", "2024-01-02T00:00:00Z")
    own = without_address("default", "c", "['.']", "2024-01-03T00:00:00Z")
    call = Call(90, http=False)
    assert follow(snapshot_of(everybodys, own, ours), "virtualOutbound", call).cluster == (
        "outbound|90||b.example"
    )
    assert follow(snapshot_of(everybodys, own), "virtualOutbound", call).cluster == (
        "outbound|90||c.example"
    )


def test_the_own_namespaces_entry_is_stronger_than_a_foreign_service() -> None:
    own = entry("default", "z", "10.1.0.1").replace("api.example", "a.other.svc.cluster.local")
    foreign = service("a", "other", 90)
    for texts in ((own, foreign), (foreign, own)):
        made = snapshot_of(*texts)
        cluster = made.clusters["outbound|90||a.other.svc.cluster.local"]
        assert [each.address.ip for each in cluster.endpoints] == ["10.1.0.1"]


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        (("default", ""), ("default", ""), "one"),
        (("default", ""), ("default", "exportTo: ['.'], "), "two"),
        (("default", ""), ("default", "exportTo: [default], "), "two"),
        (("third", ""), ("third", "exportTo: [default], "), "two"),
        (("third", "exportTo: [default], "), ("default", ""), "one"),
        (("third", "exportTo: [default], "), ("default", "exportTo: ['.'], "), "two"),
    ],
)
def test_whose_rule_comes_first(one: tuple[str, str], two: tuple[str, str], expected: str) -> None:
    """What is its own, then what is exported to it, then what is exported to all; then by age."""
    host = "a.default.svc.cluster.local"

    def rule(name: str, namespace: str, export_to: str) -> str:
        return (
            "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
            f"metadata: {{name: {name}, namespace: {namespace}}}\n"
            f"spec: {{hosts: [{host}], {export_to}"
            f"http: [{{name: {name}, route: [{{destination: {{host: {host}}}}}]}}]}}\n"
        )

    made = snapshot_of(SERVICES, rule("one", *one), rule("two", *two))
    assert made.hosts["80/a.default.svc.cluster.local"].routes[0].name == expected
