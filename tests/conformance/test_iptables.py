"""Istio's own cases: settings give the rules that its program and its node agent give.

Equal means the same tables, the same chains and, per chain, the same rules in the same order, with
insertions carried out; spelling (the order of options, hexadecimal, implied modules) is not
compared.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from iptables import arguments, cli, host, listing, nft, pod, render, settings
from iptables.arguments import Given
from iptables.canonical import Canonical, canonical
from iptables.options import Facts, Options
from iptables.pod import Pod
from iptables.rules.compose import compose
from iptables.rules.rule import BOTH, V4_ONLY, Family, Rule
from tests.support import conformance

CORPUS = "iptables"
CASES = conformance.cases(CORPUS, "cases.yaml")
POD_CASES = conformance.cases(CORPUS, "cni-cases.yaml")

# Istio's configuration keys as our settings.
KEYS = {
    "PROXY_PORT": "envoy-port",
    "INBOUND_CAPTURE_PORT": "inbound-capture-port",
    "INBOUND_TUNNEL_PORT": "inbound-tunnel-port",
    "PROXY_UID": "proxy-uid",
    "PROXY_GID": "proxy-gid",
    "INBOUND_TPROXY_MARK": "istio-inbound-tproxy-mark",
    "INBOUND_TPROXY_ROUTE_TABLE": "istio-inbound-tproxy-route-table",
    "OUTBOUND_OWNER_GROUPS_INCLUDE": "ISTIO_OUTBOUND_OWNER_GROUPS",
    "OUTBOUND_OWNER_GROUPS_EXCLUDE": "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE",
    "HOST_IPV4_LOOPBACK_CIDR": "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR",
    "INBOUND_INTERCEPTION_MODE": "istio-inbound-interception-mode",
    "INBOUND_PORTS_INCLUDE": "istio-inbound-ports",
    "INBOUND_PORTS_EXCLUDE": "istio-local-exclude-ports",
    "OUTBOUND_PORTS_INCLUDE": "istio-outbound-ports",
    "OUTBOUND_PORTS_EXCLUDE": "istio-local-outbound-ports-exclude",
    "OUTBOUND_IPRANGES_INCLUDE": "istio-service-cidr",
    "OUTBOUND_IPRANGES_EXCLUDE": "istio-service-exclude-cidr",
    "KUBE_VIRT_INTERFACES": "kube-virt-interfaces",
    "EXCLUDE_INTERFACES": "istio-exclude-interfaces",
    "REDIRECT_DNS": "redirect-dns",
    "CAPTURE_ALL_DNS": "capture-all-dns",
    "DROP_INVALID": "drop-invalid",
    "DRY_RUN": "dry-run",
}
FACT_KEYS = {"ENABLE_INBOUND_IPV6", "DNS_SERVERS_V4", "DNS_SERVERS_V6"}

Meaning = Mapping[str, Mapping[str, Sequence[Canonical]]]


class Nobody:
    """A host without users."""

    def user(self, name: str) -> int | None:
        return None

    def group(self, name: str) -> int | None:
        return None


def options_of(given: Mapping[str, Given]) -> Options:
    """The options, as in a dry run: group names need not exist here."""
    found, problems = settings.read({**given, "dry-run": Given("true", "")}, Nobody())
    assert problems == []
    return found


def parsed(argv: Sequence[str], environ: Mapping[str, str]) -> dict[str, Given]:
    return arguments.given(arguments.parser("iptables", ""), argv, environ)


def from_config(config: Mapping[str, Any]) -> tuple[Options, Facts]:
    """Options and facts from Istio's configuration keys; an unknown key fails the case."""
    given = parsed([], {})
    for key, value in config.items():
        if key not in FACT_KEYS:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            given[KEYS[key]] = Given(text, key)
    facts = Facts(
        bool(config.get("ENABLE_INBOUND_IPV6", False)),
        tuple(config.get("DNS_SERVERS_V4", ())),
        tuple(config.get("DNS_SERVERS_V6", ())),
    )
    return options_of(given), facts


def from_command_line(case: Mapping[str, Any]) -> tuple[Options, Facts]:
    facts = case["host"]
    servers = [tuple(facts.get(f"dns_servers_{each}", ())) for each in ("v4", "v6")]
    return options_of(parsed(case["argv"], case["env"])), Facts(facts["ipv6"], *servers)


def rules_of(case: Mapping[str, Any]) -> tuple[list[tuple[Rule, ...]], Facts]:
    """The rules of a case, once for each way in which the case gives its settings."""
    ways = [from_config(case["config"])]
    if "argv" in case:
        ways.append(from_command_line(case))
    return [compose(*way) for way in ways], ways[0][1]


def meanings(text: str) -> list[tuple[str, dict[str, list[Canonical]]]]:
    """The blocks of a restore text: table, and its chains with their rules."""
    found: list[tuple[str, dict[str, list[Canonical]]]] = []
    for line in text.splitlines():
        words = line.split(" ", 2)
        if line.startswith("*"):
            found.append((line[1:].strip(), {}))
        elif words[0] == "-N":
            found[-1][1].setdefault(words[1], [])
        elif words[0] == "-A":
            found[-1][1].setdefault(words[1], []).append(canonical(words[2]))
        elif words[0] == "-I":
            place, spec = words[2].split(" ", 1)
            found[-1][1].setdefault(words[1], []).insert(int(place) - 1, canonical(spec))
    return found


def expected(case: Mapping[str, Any]) -> tuple[Meaning, Meaning]:
    """The golden rules of both families; the first run of blocks is IPv4's."""
    blocks = meanings(conformance.text(CORPUS, case["golden"]))
    v4 = len(case["blocks"]["v4"]) if "blocks" in case else len(blocks)
    return dict(blocks[:v4]), dict(blocks[v4:])


def restored(rules: Sequence[Rule], family: Family) -> Meaning:
    return dict(meanings(render.text(render.blocks(rules, family))))


@pytest.mark.parametrize("case", CASES)
def test_restore_text(case: Mapping[str, Any]) -> None:
    if "golden" not in case:
        pytest.skip("this case has no iptables rules")
    v4, v6 = expected(case)
    ways, facts = rules_of(case)
    for rules in ways:
        assert restored(rules, Family.V4) == v4
        assert restored(rules, Family.V6 if facts.ipv6 else Family.V4) == (v6 or v4)
    assert facts.ipv6 == bool(v6)


@pytest.mark.parametrize("case", CASES)
def test_nftables_transaction(case: Mapping[str, Any]) -> None:
    if "nft_golden" not in case:
        pytest.skip("this case has no nftables rules")
    golden = listing.given(conformance.text(CORPUS, case["nft_golden"]))
    ways, facts = rules_of(case)
    for rules in ways:
        text = nft.transaction(rules, BOTH if facts.ipv6 else V4_ONLY)
        assert listing.given(text) == golden


@pytest.mark.parametrize("case", CASES)
def test_dry_run_of_the_command(
    case: Mapping[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "argv" not in case or "golden" not in case:
        pytest.skip("this case has no command line")
    golden = conformance.text(CORPUS, case["golden"])
    as_host(monkeypatch, case["host"])
    monkeypatch.setattr(os, "environ", dict(case["env"]))
    assert cli.main([*case["argv"], "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert meanings(printed) == meanings(golden)
    assert programs(printed) == programs(golden)


def programs(text: str) -> list[str]:
    """The lines that are commands."""
    return [line for line in text.splitlines() if line.endswith("-save")]


def as_host(monkeypatch: pytest.MonkeyPatch, facts: Mapping[str, Any]) -> None:
    """The facts of a case, as the files in which the program finds them."""
    address = "fd770000000000000000000000000001 02 40 00 80 eth0\n"
    servers = [*facts.get("dns_servers_v4", ()), *facts.get("dns_servers_v6", ())]
    files: dict[Path, str] = {
        host.IF_INET6: address if facts["ipv6"] else "",
        host.RESOLV_CONF: "".join(f"nameserver {server}\n" for server in servers),
    }
    monkeypatch.setattr(host, "read", lambda path: files[path])
    monkeypatch.setattr(host, "UserDatabase", Nobody)


@pytest.mark.parametrize("case", POD_CASES)
def test_pod_annotations(case: Mapping[str, Any]) -> None:
    seen = Pod(
        case["annotations"] or {},
        case["proxy_env"] or {},
        case.get("proxy_run_as_user"),
        case.get("proxy_run_as_group"),
    )
    assert pod.captured(seen)
    found, problems = pod.options(seen, Nobody())
    assert problems == []
    golden = dict(meanings(conformance.text(CORPUS, case["golden"])))
    assert restored(compose(found, Facts()), Family.V4) == golden
