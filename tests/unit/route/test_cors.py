"""What cross-origin requests are granted, as Envoy's CORS filter has it."""

from __future__ import annotations

import pytest

from meshproxy.model.route import Cors, MatchKind, StringMatch
from meshproxy.route.cors import Grant, compile_cors
from tests.unit.route.test_match import a_head

POLICY = Cors(
    (StringMatch(MatchKind.EXACT, "https://a.example"),),
    "GET,POST",
    "x-a",
    "x-b",
    "60",
    credentials=True,
)
PREFLIGHT = [
    ("Origin", "https://a.example"),
    ("Access-Control-Request-Method", "POST"),
    ("Access-Control-Request-Headers", "x-c"),
]


def judged(policy: Cors, *headers: tuple[str, str], method: str = "GET") -> Grant | None:
    return compile_cors(policy)(a_head("/", *headers, method=method))


def test_a_preflight() -> None:
    assert judged(POLICY, *PREFLIGHT, method="OPTIONS") == Grant(
        [
            (b"access-control-allow-origin", b"https://a.example"),
            (b"access-control-allow-credentials", b"true"),
            (b"access-control-allow-methods", b"GET,POST"),
            (b"access-control-allow-headers", b"x-a"),
            (b"access-control-max-age", b"60"),
        ],
        True,
    )


def test_a_request() -> None:
    assert judged(POLICY, PREFLIGHT[0]) == Grant(
        [
            (b"access-control-allow-origin", b"https://a.example"),
            (b"access-control-allow-credentials", b"true"),
            (b"access-control-expose-headers", b"x-b"),
        ]
    )


def test_a_star_grants_what_is_asked_for() -> None:
    policy = Cors((StringMatch(MatchKind.REGEX, ".*"),), "*", "*")
    grant = judged(policy, *PREFLIGHT, method="OPTIONS")
    assert grant is not None
    assert grant.headers[1:] == [
        (b"access-control-allow-methods", b"POST"),
        (b"access-control-allow-headers", b"x-c"),
    ]


@pytest.mark.parametrize(
    ("headers", "method"),
    [
        ([], "GET"),
        ([("Origin", "")], "GET"),
        ([("Origin", "https://b.example")], "GET"),
        ([("Origin", "https://b.example"), PREFLIGHT[1]], "OPTIONS"),
        (PREFLIGHT[1:], "OPTIONS"),
    ],
)
def test_nothing_is_said(headers: list[tuple[str, str]], method: str) -> None:
    assert judged(POLICY, *headers, method=method) is None


def test_options_without_a_method_is_no_preflight() -> None:
    grant = judged(POLICY, PREFLIGHT[0], method="OPTIONS")
    assert grant is not None
    assert not grant.answered


def test_preflights_of_others_may_be_answered_here() -> None:
    policy = Cors(POLICY.origins, "GET", forward_unmatched=False)
    other = [("Origin", "https://b.example"), PREFLIGHT[1]]
    assert judged(policy, *other, method="OPTIONS") == Grant(
        [(b"access-control-allow-methods", b"GET")], True
    )


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (StringMatch(MatchKind.EXACT, "*"), True),
        (StringMatch(MatchKind.PREFIX, "https://a."), True),
        (StringMatch(MatchKind.REGEX, "https://[a-z]+\\.example"), True),
        (StringMatch(MatchKind.REGEX, "https://[a-z]+"), False),
        (StringMatch(MatchKind.PREFIX, "http://"), False),
    ],
)
def test_origins(origin: StringMatch, allowed: bool) -> None:
    assert (judged(Cors((origin,)), PREFLIGHT[0]) is not None) is allowed
