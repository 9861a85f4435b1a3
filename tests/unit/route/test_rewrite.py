"""What a route changes: paths, headers, and where a redirect points."""

from __future__ import annotations

import pytest

from meshproxy.model.route import (
    HeaderOps,
    MatchKind,
    Redirect,
    RegexRewrite,
    Rewrite,
    RouteMatch,
    StringMatch,
)
from meshproxy.route.rewrite import (
    compile_header_ops,
    compile_redirect,
    compile_rewrite,
    split_port,
)
from tests.unit.route.test_match import a_head

PREFIX = RouteMatch(StringMatch(MatchKind.PREFIX, "/api"))


@pytest.mark.parametrize(
    ("match", "rewrite", "target", "expected"),
    [
        (PREFIX, Rewrite("/v2"), "/api/a?b=/api", "/v2/a?b=/api"),
        (PREFIX, Rewrite("/"), "/api/a", "//a"),
        (RouteMatch(), Rewrite("/v2/"), "/a?b", "/v2/a?b"),
        (RouteMatch(StringMatch(MatchKind.EXACT, "/a")), Rewrite("/b"), "/a?c", "/b?c"),
        (RouteMatch(StringMatch(MatchKind.REGEX, "/a.*")), Rewrite("/b"), "/ab/c?d", "/b?d"),
        (
            RouteMatch(),
            Rewrite(regex=RegexRewrite("^/service/([^/]+)(/.*)$", r"\2/instance/\1")),
            "/service/foo/v1/api?x=/service/y/",
            "/v1/api/instance/foo?x=/service/y/",
        ),
        (PREFIX, Rewrite(regex=RegexRewrite("a", "b")), "/api/a?a", "/bpi/b?a"),
        (PREFIX, Rewrite(regex=RegexRewrite("z", "b")), "/api/a?a", "/api/a?a"),
    ],
)
def test_paths(match: RouteMatch, rewrite: Rewrite, target: str, expected: str) -> None:
    change = compile_rewrite(match, rewrite)
    assert change is not None
    assert change(target.encode()) == expected.encode()


def test_a_rewrite_of_the_host_alone_leaves_the_path() -> None:
    assert compile_rewrite(PREFIX, Rewrite(authority="x")) is None


def test_of_a_header_that_is_set_twice_the_last_one_counts() -> None:
    edit = compile_header_ops(
        HeaderOps(set=(("X-A", "route"), ("x-a", "arm")), add=(("x-b", "1"),), remove=("x-b",))
    )
    assert edit is not None
    assert edit([(b"x-A", b"client"), (b"X-B", b"client")]) == [(b"x-a", b"arm"), (b"x-b", b"1")]


@pytest.mark.parametrize(
    ("redirect", "authority", "expected"),
    [
        (Redirect(), "shop:81", "http://shop:81/api/a?b"),
        (Redirect("/new"), "shop", "http://shop/new?b"),
        (Redirect("/new?c=d"), "shop", "http://shop/new?c=d"),
        (Redirect(prefix="/v2"), "shop", "http://shop/v2/a?b"),
        (Redirect(authority="other:8080"), "shop:81", "http://other:8080/api/a?b"),
        (Redirect(scheme="https"), "shop", "https://shop/api/a?b"),
        (Redirect(scheme="https"), "shop:80", "https://shop/api/a?b"),
        (Redirect(scheme="https"), "shop:81", "https://shop:81/api/a?b"),
        (Redirect(scheme="http"), "shop:80", "http://shop:80/api/a?b"),
        (Redirect(scheme="https", port=8443), "shop:81", "https://shop:8443/api/a?b"),
        (Redirect(port=82), "[fd00::1]:81", "http://[fd00::1]:82/api/a?b"),
        (Redirect(port=82), "[fd00::1]", "http://[fd00::1]:82/api/a?b"),
        (Redirect(authority="other:1", port=82), "shop", "http://other:82/api/a?b"),
    ],
)
def test_redirects(redirect: Redirect, authority: str, expected: str) -> None:
    location = compile_redirect(PREFIX, redirect)
    assert location(a_head("/api/a?b", authority=authority)) == expected.encode()


def test_a_redirect_keeps_the_scheme_that_was_asked_for() -> None:
    head = a_head("/api", ("x-forwarded-proto", "https"), authority="shop:443")
    assert compile_redirect(PREFIX, Redirect("/n"))(head) == b"https://shop:443/n"
    assert compile_redirect(PREFIX, Redirect("/n", scheme="http"))(head) == b"http://shop/n"


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("shop", ("shop", "")),
        ("shop:80", ("shop", ":80")),
        ("[::1]", ("[::1]", "")),
        ("[::1]:80", ("[::1]", ":80")),
    ],
)
def test_ports_of_authorities(authority: str, expected: tuple[str, str]) -> None:
    host, port = split_port(authority.encode())
    assert (host.decode(), port.decode()) == expected
