"""VirtualServices that leave routes to others."""

from __future__ import annotations

import pytest

from meshproxy.model.route import Forward, HeaderOps, MatchKind, Rewrite, Route, StringMatch
from meshproxy.translate.assembly.delegates import excluded
from tests.unit.translate.support import ME, problems_of, snapshot_of, translated

SERVICES = "".join(
    f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
    "spec: {clusterIP: None, ports: [{name: http, port: 80}]}\n"
    for name, namespace in (("a", "default"), ("b", "default"), ("b", "team"))
)


def virtual_service(
    http: str, name: str, hosts: str = "", namespace: str = "default", more: str = ""
) -> str:
    return (
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        f"metadata: {{name: {name}, namespace: {namespace}}}\n"
        f"spec: {{{hosts and f'hosts: [{hosts}], '}{more}http: [{http}]}}\n"
    )


def root(http: str) -> str:
    return virtual_service(http, "root", "a")


TO_B = "route: [{destination: {host: b}}]"
FALLBACK = "{name: rest, route: [{destination: {host: a}}]}"


def routes(*texts: str) -> list[Route]:
    found = snapshot_of(SERVICES, *texts)
    key = next(key for key in found.hosts if key.startswith("80/a."))
    return list(found.hosts[key].routes)


def described(*texts: str) -> list[tuple[str, str, str]]:
    """Of each route its name, its path's match and its first cluster's host."""
    found = []
    for route in routes(*texts):
        path = route.match.path
        assert isinstance(route.action, Forward)
        cluster = route.action.clusters[0].cluster
        found.append((route.name, path.value if path else "", cluster.rpartition("|")[2]))
    return found


def test_a_delegates_routes_stand_in_the_place_of_the_one_that_names_it() -> None:
    rules = (
        root(
            "{name: first, match: [{uri: {exact: /first}}], route: [{destination: {host: a}}]}, "
            f"{{name: r, match: [{{uri: {{prefix: /b}}}}], delegate: {{name: d}}}}, {FALLBACK}"
        ),
        virtual_service(
            f"{{name: one, match: [{{uri: {{prefix: /b/1}}}}, {{uri: {{exact: /b/2}}}}], {TO_B}}},"
            f" {{{TO_B}}}",
            "d",
        ),
    )
    own, other = "a.default.svc.cluster.local", "b.default.svc.cluster.local"
    assert described(*rules) == [
        ("first", "/first", own),
        ("r-one", "/b/1", other),
        ("r-one", "/b/2", other),
        ("r", "/b", other),
        ("rest", "", own),
    ]


def test_short_names_are_those_of_the_delegates_namespace() -> None:
    rules = (
        root("{delegate: {name: d, namespace: team}}"),
        virtual_service(f"{{{TO_B}}}", "d", namespace="team"),
    )
    assert described(*rules) == [("", "", "b.team.svc.cluster.local")]
    assert "outbound|80||b.team.svc.cluster.local" in snapshot_of(SERVICES, *rules).clusters


def test_what_the_delegate_does_not_say_the_root_says() -> None:
    rooted = (
        "{delegate: {name: d}, timeout: 5s, rewrite: {uri: /r}, "
        "headers: {request: {set: {x: root}}}, corsPolicy: {allowOrigins: [{exact: o}]}}"
    )
    (plain,) = routes(root(rooted), virtual_service(f"{{{TO_B}}}", "d"))
    assert isinstance(plain.action, Forward)
    assert (plain.action.timeout, plain.action.rewrite) == (5.0, Rewrite("/r"))
    assert plain.request_headers == HeaderOps(set=(("x", "root"),))
    assert plain.action.cors is not None
    own = "timeout: 1s, rewrite: {uri: /d}, headers: {response: {set: {y: own}}}"
    (changed,) = routes(root(rooted), virtual_service(f"{{{TO_B}, {own}}}", "d"))
    assert isinstance(changed.action, Forward)
    assert (changed.action.timeout, changed.action.rewrite) == (1.0, Rewrite("/d"))
    assert (changed.request_headers, changed.response_headers) == (
        HeaderOps(),
        HeaderOps(set=(("y", "own"),)),
    )


def test_matches_are_put_together() -> None:
    match = "{uri: {prefix: /b}, headers: {x: {exact: '1'}}, sourceLabels: {app: me}, port: 80}"
    more = "{headers: {y: {exact: '2'}}, withoutHeaders: {x: {exact: '3'}}, method: {exact: GET}}"
    (only,) = routes(
        root(f"{{match: [{match}], delegate: {{name: d}}}}"),
        virtual_service(f"{{match: [{more}], {TO_B}}}", "d"),
    )
    assert only.match.path == StringMatch(MatchKind.PREFIX, "/b")
    assert only.match.method == StringMatch(MatchKind.EXACT, "GET")
    assert [(each.name, each.match.value, each.invert) for each in only.match.headers] == [
        ("x", "1", False),
        ("x", "3", True),
        ("y", "2", False),
    ]


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("uri: {prefix: /b}", "uri: {prefix: /c}"),
        ("uri: {prefix: /b}", "uri: {regex: '/b.*'}"),
        ("uri: {prefix: /b}", "uri: {prefix: /b}, ignoreUriCase: true"),
        ("uri: {exact: /b}", "uri: {prefix: /b}"),
        ("headers: {x: {exact: a}}", "headers: {x: {exact: b}}"),
        ("queryParams: {x: {exact: a}}", "queryParams: {x: {prefix: a}}"),
        ("port: 80", "port: 81"),
        ("sourceNamespace: default", "uri: {prefix: /b}"),
        ("sourceLabels: {app: me}", "sourceLabels: {app: you}"),
        ("gateways: [mesh]", "gateways: [mesh, g]"),
    ],
)
def test_a_route_that_is_not_narrower_is_left_out_with_a_word(wide: str, narrow: str) -> None:
    rules = (
        root(f"{{match: [{{{wide}}}], delegate: {{name: d}}}}, {FALLBACK}"),
        virtual_service(f"{{match: [{{{narrow}}}], {TO_B}}}", "d"),
    )
    assert [route.name for route in routes(*rules)] == ["rest"]
    (problem,) = problems_of(SERVICES, *rules)
    assert problem.field == "spec.http[0].match"
    assert "VirtualService default/d" in problem.subject
    assert "left out" in problem.text


@pytest.mark.parametrize(
    ("delegate", "words"),
    [
        ("", "there is no VirtualService team/d"),
        (virtual_service(f"{{{TO_B}}}", "d"), "there is no VirtualService team/d"),
        (
            virtual_service(f"{{{TO_B}}}", "d", namespace="team", more="exportTo: ['.'], "),
            "not exported to default",
        ),
        (virtual_service(f"{{{TO_B}}}", "d", "x", "team"), "without hosts"),
    ],
)
def test_a_delegate_that_is_not_there(delegate: str, words: str) -> None:
    rules = (root(f"{{delegate: {{name: d, namespace: team}}}}, {FALLBACK}"), delegate)
    assert [route.name for route in routes(*rules)] == ["rest"]
    found = [each for each in problems_of(SERVICES, *rules) if words in each.text]
    assert [each.field for each in found] == ["spec.http[0].delegate"]


def test_an_export_to_the_roots_namespace_is_enough() -> None:
    own = virtual_service(f"{{{TO_B}}}", "d", namespace="team", more="exportTo: [default], ")
    assert len(described(root("{delegate: {name: d, namespace: team}}"), own)) == 1


def test_the_meshs_export_holds_for_delegates() -> None:
    mesh = "---\nkind: MeshConfig\ndefaultVirtualServiceExportTo: ['.']\n"
    own = virtual_service(f"{{{TO_B}}}", "d", namespace="team")
    texts = (root(f"{{delegate: {{name: d, namespace: team}}}}, {FALLBACK}"), own, mesh)
    assert [route.name for route in routes(*texts)] == ["rest"]


def test_a_delegate_of_a_delegate_is_refused() -> None:
    rules = (
        root("{delegate: {name: d}}"),
        virtual_service("{delegate: {name: e}}", "d"),
        virtual_service(f"{{{TO_B}}}", "e"),
    )
    (error,) = translated(ME, SERVICES, *rules).errors
    assert error.field == "spec.http[0].delegate"
    assert "can't delegate further" in error.text


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        (None, StringMatch(MatchKind.REGEX, "a"), False),
        (StringMatch(MatchKind.REGEX, "a"), None, False),
        (StringMatch(MatchKind.REGEX, "a"), StringMatch(MatchKind.REGEX, "a"), True),
        (StringMatch(MatchKind.EXACT, "a"), StringMatch(MatchKind.EXACT, "a"), False),
        (StringMatch(MatchKind.PREFIX, "/a"), StringMatch(MatchKind.PREFIX, "/a/b"), False),
        (StringMatch(MatchKind.PREFIX, "/a/b"), StringMatch(MatchKind.PREFIX, "/a"), True),
        (StringMatch(MatchKind.PREFIX, "/a"), StringMatch(MatchKind.EXACT, "/ab"), False),
        (StringMatch(MatchKind.PREFIX, ""), StringMatch(MatchKind.EXACT, "/ab"), True),
        (StringMatch(MatchKind.PRESENT), StringMatch(MatchKind.EXACT, "/ab"), True),
    ],
)
def test_what_excludes_what(
    wide: StringMatch | None, narrow: StringMatch | None, expected: bool
) -> None:
    assert excluded(wide, narrow) is expected
