"""Where a setting comes from, and the help."""

from __future__ import annotations

import pytest

from iptables import arguments
from iptables.arguments import UsageError
from iptables.flags import FLAGS, LOGGING, LOGGING_SWITCHES, VARIABLES


def text(name: str, *argv: str, **environ: str) -> str:
    return arguments.given(arguments.parser("iptables", ""), argv, environ)[name].text


@pytest.mark.parametrize(
    ("argv", "environ", "expected"),
    [
        ((), {}, "false"),
        ((), {"REDIRECT_DNS": "true"}, "true"),
        ((), {"REDIRECT_DNS": "true", "ISTIO_META_DNS_CAPTURE": "false"}, "false"),
        (("--redirect-dns",), {"ISTIO_META_DNS_CAPTURE": "false"}, "true"),
        (("--redirect-dns=false",), {"REDIRECT_DNS": "true"}, "false"),
        ((), {"REDIRECT_DNS": ""}, ""),
    ],
)
def test_a_flag_beats_variables_and_they_the_default(
    argv: tuple[str, ...], environ: dict[str, str], expected: str
) -> None:
    assert text("redirect-dns", *argv, **environ) == expected


def test_short_flags_and_empty_values() -> None:
    assert text("istio-inbound-ports", "-b", "") == ""
    assert text("istio-inbound-ports", "-b*") == "*"
    assert text("envoy-port", "-p", "16001") == "16001"


def test_the_outbound_port_has_no_variable() -> None:
    assert text("envoy-port", ENVOY_PORT="1") == "15001"


def test_problems_name_the_source() -> None:
    parser = arguments.parser("iptables", "")
    found = arguments.given(parser, ["-b", "1"], {"ISTIO_SERVICE_CIDR": "x", "PROXY_UID": "7"})
    assert found["istio-inbound-ports"].where == "--istio-inbound-ports"
    assert found["istio-service-cidr"].where == "ISTIO_SERVICE_CIDR"


@pytest.mark.parametrize("name", [*LOGGING, *LOGGING_SWITCHES])
def test_flags_of_the_shared_logger_are_taken(name: str) -> None:
    assert text("envoy-port", f"--{name}=x") == "15001"


def test_every_wrong_flag_is_named() -> None:
    with pytest.raises(UsageError) as raised:
        text("envoy-port", "--no-such", "word", "--redirect-dns")
    assert len(raised.value.args) == 2


def test_a_flag_without_its_value() -> None:
    with pytest.raises(UsageError, match="expected one argument"):
        text("envoy-port", "-p")


def test_abbreviations_are_not_flags() -> None:
    with pytest.raises(UsageError):
        text("envoy-port", "--envoy", "1")


def test_help_names_every_flag_variable_and_default() -> None:
    shown = arguments.parser("iptables", "About.").format_help()
    words = " ".join(shown.split())
    for flag in FLAGS:
        assert f"--{flag.name}" in shown
        assert all(f"${name}" in words for name in flag.variables)
        assert flag.default in ("", "false") or f"default {flag.default}" in words
    for name in (*VARIABLES, *LOGGING, *LOGGING_SWITCHES):
        assert name in shown


def test_names_and_letters_are_unique() -> None:
    letters = [flag.short for flag in FLAGS if flag.short]
    assert len(set(letters)) == len(letters)
    assert len({flag.name for flag in FLAGS}) == len(FLAGS)
