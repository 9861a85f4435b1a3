"""Secrets: certificates under Istio's names, and nothing of them in what is said or shown."""

from __future__ import annotations

import base64

import pytest

from meshproxy.model.secret import Secret
from meshproxy.translate import Library, SourceText
from meshproxy.translate.kinds.secret import SecretObject
from tests.unit.translate.support import said, typed


def pem(word: str) -> str:
    return f"-----BEGIN {word}-----\nS2V5\n-----END {word}-----\n"


def encoded(word: str) -> str:
    return base64.b64encode(pem(word).encode()).decode()


def text(body: str, type_: str = "kubernetes.io/tls") -> str:
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ntype: {type_}\n{body}\n"


def secret(body: str) -> Secret:
    value, problems = typed(text(body))
    assert not problems, [str(each) for each in problems]
    assert isinstance(value, SecretObject)
    return value.secret


@pytest.mark.parametrize(
    "names", [("tls.crt", "tls.key", "ca.crt", "ca.crl"), ("cert", "key", "cacert", "crl")]
)
def test_names(names: tuple[str, ...]) -> None:
    expected = Secret(*(pem(word).encode() for word in "abcd"))
    lines = [f"{name}: {encoded(word)}" for name, word in zip(names, "abcd", strict=True)]
    assert secret(f"data: {{{', '.join(lines)}}}") == expected


def test_plain_text_goes_before_what_is_encoded() -> None:
    block = pem("b").replace("\n", "\n    ")
    data = f"data: {{cert: {encoded('a')}, key: {encoded('k')}}}"
    found = secret(f"{data}\nstringData:\n  cert: |\n    {block}")
    assert (found.certificate, found.key) == (pem("b").encode(), pem("k").encode())


def test_lines_of_base64_may_be_broken() -> None:
    folded = encoded("a")[:8] + "\n    " + encoded("a")[8:]
    assert secret(f"data:\n  cert: >\n    {folded}").certificate == pem("a").encode()


@pytest.mark.parametrize("body", ["", "data: {}", "data: {token: YQ==}", "stringData: {user: a}"])
def test_what_is_no_certificate_is_passed_over(body: str) -> None:
    assert typed(text(body, "Opaque")) == (None, [])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("data: geheim", ("error", "data")),
        ("data: {tls.key: 'geheim!'}", ("error", 'data["tls.key"]')),
        ("data: {tls.key: [geheim]}", ("error", 'data["tls.key"]')),
        ("data: {tls.key: Z2VoZWlt}", ("warning", 'data["tls.key"]')),
        ("stringData: {tls.key: geheim}", ("warning", 'stringData["tls.key"]')),
    ],
)
def test_faults_quote_nothing(body: str, expected: tuple[str, str]) -> None:
    assert said(text(body)) == [expected]
    assert not any("geheim" in str(each) for each in typed(text(body))[1])


def test_nothing_is_shown() -> None:
    body = text(f"stringData: {{tls.key: {pem('geheim')!r}}}".replace("\\n", "")).replace(
        "{name: s}", "{name: s, annotations: {last: geheim}}"
    )
    source = SourceText("a.yaml", body)
    documents, _ = Library().read([source])
    value, _ = typed(body)
    assert value.secret.key
    assert "geheim" not in repr((source, documents, value, value.meta, value.secret))
