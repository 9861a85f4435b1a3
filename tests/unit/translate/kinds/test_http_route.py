"""Entries under a VirtualService's `http`: matches, destinations, actions, edits."""

from __future__ import annotations

import pytest

from meshproxy.model.route import (
    DirectResponse,
    HeaderMatch,
    HeaderOps,
    MatchKind,
    Redirect,
    Rewrite,
    RouteMatch,
    StringMatch,
)
from meshproxy.translate.kinds.common import Destination
from meshproxy.translate.kinds.http_route import HttpRoute
from tests.unit.translate.support import Severity, check_fault, typed

TO_B = "route: [{destination: {host: b}}]"


def text(*route: str) -> str:
    lines = "".join(f"    {line}\n" for line in route)
    return (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n"
        f"spec:\n  hosts: [a]\n  http:\n  - name: r\n{lines}"
    )


def route(*lines: str) -> HttpRoute:
    value, problems = typed(text(*lines))
    assert not problems, [str(each) for each in problems]
    found: HttpRoute = value.http[0]
    return found


def match(line: str) -> RouteMatch:
    (only,) = route(f"match: [{line}]", TO_B).matches
    return only.match


EXACT, PREFIX, REGEX = MatchKind.EXACT, MatchKind.PREFIX, MatchKind.REGEX
PRESENT = StringMatch(MatchKind.PRESENT)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{uri: {exact: /a}}", RouteMatch(StringMatch(EXACT, "/a"))),
        ("{uri: {prefix: ''}}", RouteMatch(StringMatch(PREFIX, ""))),
        ("{uri: {regex: '/a.*'}}", RouteMatch(StringMatch(REGEX, "/a.*"))),
        (
            "{uri: {prefix: /A}, ignoreUriCase: true}",
            RouteMatch(StringMatch(PREFIX, "/A", ignore_case=True)),
        ),
        ("{uri: {regex: /A}, ignoreUriCase: true}", RouteMatch(StringMatch(REGEX, "/A"))),
        (
            "{headers: {':path': {exact: /a}, ':authority': {prefix: a}}}",
            RouteMatch(
                headers=(
                    HeaderMatch(":authority", StringMatch(PREFIX, "a")),
                    HeaderMatch(":path", StringMatch(EXACT, "/a")),
                )
            ),
        ),
        ("{method: {exact: GET}}", RouteMatch(method=StringMatch(EXACT, "GET"))),
        ("{authority: {prefix: a}}", RouteMatch(authority=StringMatch(PREFIX, "a"))),
        ("{scheme: {exact: https}}", RouteMatch(scheme=StringMatch(EXACT, "https"))),
        (
            "{headers: {X-User: {exact: j}, a: {}}}",
            RouteMatch(
                headers=(
                    HeaderMatch("a", PRESENT),
                    HeaderMatch("x-user", StringMatch(EXACT, "j")),
                )
            ),
        ),
        (
            "{withoutHeaders: {x: {exact: j}, cookie: {regex: '*'}, a: {}}}",
            RouteMatch(
                headers=(
                    HeaderMatch("a", PRESENT, invert=True),
                    HeaderMatch("cookie", PRESENT, invert=True),
                    HeaderMatch("x", StringMatch(EXACT, "j"), invert=True),
                )
            ),
        ),
        (
            "{queryParams: {Q: {exact: '1'}, r: {}}}",
            RouteMatch(
                query=(HeaderMatch("Q", StringMatch(EXACT, "1")), HeaderMatch("r", PRESENT))
            ),
        ),
    ],
)
def test_matches(line: str, expected: RouteMatch) -> None:
    assert match(line) == expected


def test_what_a_match_asks_of_the_caller() -> None:
    line = (
        "match: [{name: m, port: 80, gateways: [mesh], sourceLabels: {a: b}, sourceNamespace: n}]"
    )
    (only,) = route(line, TO_B).matches
    assert (only.name, only.port, only.gateways) == ("m", 80, ("mesh",))
    assert (only.source_labels, only.source_namespace) == ({"a": "b"}, "n")


def test_destinations() -> None:
    found = route(
        "route:",
        "- destination: {host: Reviews, subset: v1, port: {number: 9080}}",
        "  weight: 90",
        "  headers: {request: {set: {a: b}, add: {c: d}, remove: [e]}, response: {add: {f: g}}}",
        "- destination: {host: b}",
        "  weight: 10",
    )
    first, second = found.arms
    assert first.destination == Destination("reviews", "v1", 9080)
    assert (first.weight, second.weight) == (90, 10)
    assert first.headers.request == HeaderOps((("a", "b"),), (("c", "d"),), ("e",))
    assert first.headers.response == HeaderOps(add=(("f", "g"),))


def test_route_headers_host_and_percent_signs() -> None:
    found = route("headers: {request: {set: {x: 100%%, ':authority': other}}}", TO_B)
    assert found.request_headers == HeaderOps(set=(("x", "100%"),))
    assert found.authority == "other"


def test_actions() -> None:
    assert route("redirect: {uri: /b, authority: c, redirectCode: 308}").redirect is not None
    redirect = route("redirect: {scheme: https, port: 8443}").redirect
    assert redirect is not None
    assert redirect.redirect == Redirect(scheme="https", port=8443)
    derived = route("redirect: {uri: /b, derivePort: FROM_REQUEST_PORT}").redirect
    assert derived is not None
    assert derived.from_request_port
    assert route("directResponse: {status: 418, body: {string: hi}}").direct == DirectResponse(
        418, b"hi"
    )
    assert route("directResponse: {status: 200, body: {bytes: aGk=}}").direct == DirectResponse(
        200, b"hi"
    )
    assert route("rewrite: {uri: /x, authority: c}", TO_B).rewrite == Rewrite("/x", "c")
    assert route("timeout: 1.5s", TO_B).timeout == 1.5


FAULTS: list[tuple[list[str], str, list[str]]] = [
    (["timeout: 1s"], "route", ["says not what to do"]),
    (["match: [{uri: {regex: '('}}]", TO_B], "match[0].uri.regex", ["not a regular expression"]),
    (["match: [{uri: {regex: '" + "a" * 1025 + "'}}]", TO_B], "match[0].uri.regex", ["1024"]),
    (["match: [{uri: {exact: a, prefix: b}}]", TO_B], "match[0].uri.prefix", ["only one of"]),
    (["match: [{uri: /a}]", TO_B], "match[0].uri", ["exact, prefix, regex"]),
    (["match: [{method: {prefix: ''}}]", TO_B], "match[0].method.prefix", ["matches everything"]),
    (["match: [{headers: {x: null}}]", TO_B], "match[0].headers.x", ["is empty"]),
    (["match: [{headers: {x: a}}]", TO_B], "match[0].headers.x", ["must be a mapping"]),
    (
        ["match: [{headers: {'a b': {exact: c}}}]", TO_B],
        'match[0].headers["a b"]',
        ["header's name"],
    ),
    (
        ["match: [{headers: {a: {regex: '*'}}}]", TO_B],
        "match[0].headers.a.regex",
        ["{}, to ask for its presence"],
    ),
    (
        ["match: [{queryParams: {a: {regex: '*'}}}]", TO_B],
        "match[0].queryParams.a.regex",
        ["{}, to ask for its presence"],
    ),
    (["match: [{port: 70000}]", TO_B], "match[0].port", ["0-65535"]),
    (["match: [{sourceNamespace: a_b}]", TO_B], "match[0].sourceNamespace", ["not a namespace"]),
    (["match: [null]", TO_B], "match[0]", ["is empty"]),
    (["route: [{destination: {}}]"], "route[0].destination.host", ["is empty", "name a service"]),
    (["route: [{}]"], "route[0].destination", ["is required"]),
    (["route: [{destination: {host: '*'}}]"], "route[0].destination.host", ["no destination"]),
    (["route: [{destination: {host: a/b}}]"], "route[0].destination.host", ["not a host name"]),
    (["route: [{destination: {host: b, subset: a b}}]"], "route[0].destination.subset", ["subset"]),
    (
        ["route: [{destination: {host: b, port: {}}}]"],
        "route[0].destination.port.number",
        ["required"],
    ),
    (["route: [{destination: {host: b}, weight: -1}]"], "route[0].weight", ["-1 is not in"]),
    (
        ["route: [{destination: {host: b}, weight: 0}, {destination: {host: c}}]"],
        "route",
        ["add up to 0"],
    ),
    (["timeout: 0s", TO_B], "timeout", ["shorter than"]),
    (["timeout: 5", TO_B], "timeout", ["must be a duration", "unit"]),
    (["redirect: {uri: /b}", TO_B], "route", ["can't stand beside redirect"]),
    (["redirect: {uri: /b}", "fault: {abort: {httpStatus: 500}}"], "fault", ["beside redirect"]),
    (["redirect: {}", "rewrite: {uri: /}"], "redirect.uri", ["must change something"]),
    (["redirect: {uri: /b, redirectCode: 404}"], "redirect.redirectCode", ["not a redirect"]),
    (["redirect: {uri: /b, scheme: ftp}"], "redirect.scheme", ["known here: http, https"]),
    (
        ["redirect: {uri: /b, port: 1, derivePort: FROM_REQUEST_PORT}"],
        "redirect.derivePort",
        ["only one"],
    ),
    (["redirect: {uri: /b, prefixRewrite: /c}"], "redirect.prefixRewrite", ["can't both"]),
    (
        ["match: [{uri: {exact: /a}}]", "redirect: {prefixRewrite: /c}"],
        "match[0].uri",
        ["match by prefix"],
    ),
    (["directResponse: {status: 199}"], "directResponse.status", ["200-599"]),
    (["directResponse: {status: 200}", TO_B], "route", ["beside directResponse"]),
    (
        ["directResponse: {status: 200, body: {string: a, bytes: b}}"],
        "directResponse.body.bytes",
        ["only one"],
    ),
    (["rewrite: {}", TO_B], "rewrite.uri", ["must change something"]),
    (
        ["rewrite: {uri: /a, uriRegexRewrite: {match: a, rewrite: b}}", TO_B],
        "rewrite.uriRegexRewrite",
        ["can't both"],
    ),
    (
        ["rewrite: {uriRegexRewrite: {match: a}}", TO_B],
        "rewrite.uriRegexRewrite",
        ["both match and rewrite"],
    ),
    (
        ["rewrite: {uriRegexRewrite: {match: '(a)', rewrite: '\\2'}}", TO_B],
        "rewrite.uriRegexRewrite.rewrite",
        ["no group 2"],
    ),
    (
        ["rewrite: {uriRegexRewrite: {match: '[', rewrite: b}}", TO_B],
        "rewrite.uriRegexRewrite.match",
        ["regular"],
    ),
    (
        ["rewrite: {authority: a}", "headers: {request: {set: {Host: b}}}", TO_B],
        "headers",
        ["authority"],
    ),
    (
        ["headers: {request: {set: {Host: a, ':authority': b}}}", TO_B],
        'headers.request.set[":authority"]',
        ["twice"],
    ),
    (["headers: {request: {set: {'': a}}}", TO_B], 'headers.request.set[""]', ["can't be empty"]),
    (["headers: {request: {set: {':path': a}}}", TO_B], 'headers.request.set[":path"]', ["pseudo"]),
    (
        ["headers: {request: {remove: [host]}}", TO_B],
        "headers.request.remove[0]",
        ["can't be changed"],
    ),
    (
        ["headers: {response: {set: {Host: a}}}", TO_B],
        "headers.response.set.Host",
        ["can't be changed"],
    ),
    (
        ["headers: {response: {add: {'a b': c}}}", TO_B],
        'headers.response.add["a b"]',
        ["header's name"],
    ),
    (["headers: {response: {add: {a: 50%}}}", TO_B], "headers.response.add.a", ["write %%"]),
    (["headers: {response: {add: {a: '%START_TIME%%'}}}", TO_B], "headers.response.add.a", ["%%"]),
    (['headers: {response: {add: {a: "x\\ny"}}}', TO_B], "headers.response.add.a", ["control"]),
    (["delegate: {name: d}", TO_B], "route", ["beside delegate"]),
    (["delegate: {name: d, namespace: a_b}"], "delegate.namespace", ["not a namespace"]),
]


@pytest.mark.parametrize(("lines", "field", "words"), FAULTS)
def test_faults(lines: list[str], field: str, words: list[str]) -> None:
    check_fault(text(*lines), f"spec.http[0].{field}", *words)


@pytest.mark.parametrize(
    ("lines", "field", "words"),
    [
        (["redirect: {uri: /c, redirectCode: 305}"], "redirect.redirectCode", ["is not done"]),
        (["retries: {attempts: 1}", TO_B], "retries", ["not implemented"]),
        (["fault: {abort: {httpStatus: 500}}", TO_B], "fault", ["not implemented"]),
        (["mirror: {host: b}", TO_B], "mirror", ["not implemented"]),
        (["mirror: {host: b}", "mirrorPercent: 5", TO_B], "mirrorPercent", ["old spelling"]),
        (["corsPolicy: {allowOrigin: [a]}", TO_B], "corsPolicy.allowOrigin", ["allowOrigins"]),
        (
            ["headers: {request: {set: {a: '%HOSTNAME%'}}}", TO_B],
            "headers.request.set.a",
            ["as written"],
        ),
        (["match: [{statPrefix: x}]", TO_B], "match[0].statPrefix", ["not implemented"]),
        (["retires: {attempts: 1}", TO_B], "retires", ["did you mean retries?"]),
        (["match: [{url: {prefix: /}}]", TO_B], "match[0].url", ["did you mean uri?"]),
    ],
)
def test_warnings(lines: list[str], field: str, words: list[str]) -> None:
    check_fault(text(*lines), f"spec.http[0].{field}", *words, severity=Severity.WARNING)


def test_bodies_have_a_largest_size() -> None:
    huge = text(f"directResponse: {{status: 200, body: {{string: {'a' * (1024 * 1024 + 1)}}}}}")
    check_fault(huge, "spec.http[0].directResponse.body", "1048576")
    large = text(f"directResponse: {{status: 200, body: {{string: {'a' * (101 * 1024)}}}}}")
    check_fault(large, "spec.http[0].directResponse.body", severity=Severity.WARNING)


@pytest.mark.parametrize(
    ("extra", "field"),
    [
        ("retries: {attempts: 0, retryOn: 5xx}", "retries.attempts"),
        ("retries: {attempts: 2, retryOn: '5xx,sometimes'}", "retries.retryOn"),
        ("retries: {attempts: 2, perTryTimeout: 1us}", "retries.perTryTimeout"),
        ("retries: {attempts: -1}", "retries.attempts"),
        ("fault: {}", "fault.abort"),
        ("fault: {abort: {httpStatus: 99}}", "fault.abort.httpStatus"),
        ("fault: {abort: {httpStatus: 500, grpcStatus: OK}}", "fault.abort.grpcStatus"),
        ("fault: {abort: {grpcStatus: SAD}}", "fault.abort.grpcStatus"),
        ("fault: {abort: {http2Error: x}}", "fault.abort.http2Error"),
        ("fault: {abort: {percentage: {value: 101}, httpStatus: 500}}", "fault.abort.percentage"),
        (
            "fault: {delay: {percentage: {value: 0.00001}, fixedDelay: 1s}}",
            "fault.delay.percentage",
        ),
        ("fault: {delay: {exponentialDelay: 1s}}", "fault.delay.exponentialDelay"),
        ("corsPolicy: {allowOrigins: [{}]}", "corsPolicy.allowOrigins[0]"),
        ("corsPolicy: {allowMethods: [GTE]}", "corsPolicy.allowMethods[0]"),
        ("corsPolicy: {allowHeaders: ['a b']}", "corsPolicy.allowHeaders[0]"),
        ("corsPolicy: {maxAge: 1500ms}", "corsPolicy.maxAge"),
        ("mirrors: [{percentage: {value: 1}}]", "mirrors[0].destination"),
        ("mirrors: [{destination: {host: b}, percentage: {value: 200}}]", "mirrors[0].percentage"),
        ("mirror: {host: b}\n    mirrors: [{destination: {host: b}}]", "mirrors"),
        ("mirrorPercentage: {value: -1}", "mirrorPercentage"),
    ],
)
def test_what_has_no_effect_yet_is_checked_all_the_same(extra: str, field: str) -> None:
    check_fault(text(extra, TO_B), f"spec.http[0].{field}")
