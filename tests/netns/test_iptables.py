"""The rules in a real kernel: read back, set twice, beside others' rules, removed, and interrupted.

"The same ruleset" is what `iptables-save` prints without comments and counters, and without
built-in chains that nobody uses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from iptables import cli, host
from iptables.execute import Runner
from tests.support import conformance
from tests.support.namespaces import Mesh, Pod, needed, tool

pytestmark = [pytest.mark.netns, needed("iptables")]

CASES = conformance.cases("iptables", "cases.yaml")
XTABLES = [
    pytest.param(backend, marks=needed(f"iptables-{backend}")) for backend in ("nft", "legacy")
]
BACKENDS = [*XTABLES, pytest.param("nftables", marks=needed("nft"))]
ALL = ("-b", "*", "-d", "15090,15021,15020", "-i", "*")

# Everything at once, so that all tables are in use.
MUCH = (
    *ALL, "-m", "TPROXY", "-c", "eth8,eth9", "-k", "eth7", "-o", "9000",
    "--redirect-dns", "--capture-all-dns", "--drop-invalid",
)  # fmt: skip

# What others may have set up, with rules that look just like some of ours.
FOREIGN = """\
*nat
:KUBE-SERVICES - [0:0]
-A PREROUTING -i eth9 -j RETURN
-A PREROUTING -p udp -m udp --dport 9999 -j KUBE-SERVICES
-A OUTPUT -j KUBE-SERVICES
-A OUTPUT -o eth9 -j RETURN
-A KUBE-SERVICES -d {network} -j RETURN
-A POSTROUTING -p tcp -m tcp --dport 81 -j MASQUERADE
COMMIT
*mangle
:THEIRS - [0:0]
-A PREROUTING -i eth9 -j RETURN
-A PREROUTING -p tcp -m mark --mark 0x539 -j CONNMARK --save-mark
-A OUTPUT -o lo -m mark --mark 0x7 -m comment --comment "a comment, with -j ISTIO_OUTPUT" -j THEIRS
COMMIT
*raw
-A OUTPUT -p udp -m udp --dport 4789 -j NOTRACK
COMMIT
*filter
-A INPUT -p icmp -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j DROP
COMMIT
"""


@dataclass(frozen=True)
class Ended:
    """How a run of the program ended."""

    status: int
    out: str
    err: str


Program = Callable[..., Ended]


@pytest.fixture
def pod() -> Iterator[Pod]:
    with Mesh("pod") as mesh:
        yield mesh["pod"]


@pytest.fixture
def program(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Program:
    """The program, in this process and in a pod's namespace."""

    def run(pod: Pod, *argv: str, clean: bool = False, **environ: str) -> Ended:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        command = cli.clean_main if clean else cli.main
        status = command([*argv, "--network-namespace", pod.path])
        return Ended(status, *capfd.readouterr())

    return run


def saved(pod: Pod) -> dict[str, list[str]]:
    """Every ruleset of a namespace, by program."""
    found: dict[str, list[str]] = {}
    for backend in ("nft", "legacy"):
        for base in ("iptables", "ip6tables"):
            if tool(f"{base}-{backend}-save"):
                text = pod.run([f"{base}-{backend}-save"]).stdout
                found[f"{base}-{backend}"] = essential(text)
    if tool("nft"):
        text = pod.run(["nft", "-s", "list", "tables", "inet"]).stdout
        found["nft"] = sorted(text.split("\n"))
    return found


def essential(text: str) -> list[str]:
    """A saved ruleset without comments, counters, unused built-in chains and empty tables."""
    lines: list[str] = []
    for table in re.split(r"^\*", text, flags=re.MULTILINE)[1:]:
        name, *rest = [line for line in table.splitlines() if not line.startswith("#")]
        kept = [re.sub(r" \[\d+:\d+\]", "", line) for line in rest if not unused(line)]
        if kept != ["COMMIT"]:
            lines += [f"*{name}", *kept]
    return sorted_tables(lines)


def unused(line: str) -> bool:
    """A built-in chain's line; its rules, if any, have lines of their own."""
    return line.startswith(":") and " - " not in line


def sorted_tables(lines: Sequence[str]) -> list[str]:
    """Tables come in the order in which they were first used, which means nothing."""
    text = "\n".join(lines)
    return sorted(text.split("COMMIT"))


def put_foreign(pod: Pod, backend: str) -> None:
    """Others' rules, in both families of one iptables backend."""
    for base, network in (("iptables", "10.96.0.1/32"), ("ip6tables", "fd99::1/128")):
        text = FOREIGN.format(network=network)
        if base == "ip6tables":
            text = text.replace("-p icmp", "-p ipv6-icmp")
        done = pod.run([f"{base}-{backend}-restore", "--noflush"], text=text)
        assert done.returncode == 0, done.stderr


class TestReadBack:
    """Istio's cases: what our program sets reads back as Istio's own text does."""

    @pytest.mark.parametrize("backend", XTABLES)
    @pytest.mark.parametrize("case", CASES)
    def test_same_as_golden(
        self,
        case: Mapping[str, Any],
        backend: str,
        program: Program,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        if "golden" not in case or "argv" not in case:
            pytest.skip("this case has no command line or no iptables rules")
        case = numbered(case)
        with Mesh("pod", "golden", ipv6=case["host"]["ipv6"]) as mesh:
            with_resolvers(monkeypatch, case["host"])
            argv = [each for each in case["argv"] if each != "--dry-run"]
            done = program(mesh["pod"], *argv, "--backend", backend, **case["env"])
            assert done.status == 0, done.err
            load_golden(mesh["golden"], case, backend)
            assert saved(mesh["pod"]) == saved(mesh["golden"])

    @pytest.mark.parametrize("case", CASES)
    @needed("nft")
    def test_same_as_golden_in_nftables(
        self, case: Mapping[str, Any], program: Program, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if "nft_golden" not in case or "argv" not in case:
            pytest.skip("this case has no command line or no nftables rules")
        case = numbered(case)
        with Mesh("pod", "golden", ipv6=case["host"]["ipv6"]) as mesh:
            with_resolvers(monkeypatch, case["host"])
            argv = [each for each in case["argv"] if each != "--dry-run"]
            done = program(mesh["pod"], *argv, "--backend", "nftables", **case["env"])
            assert done.status == 0, done.err
            text = renumbered(case, conformance.text("iptables", case["nft_golden"]))
            loaded = mesh["golden"].run(["nft", "-f", "-"], text=text)
            assert loaded.returncode == 0, loaded.stderr
            assert chains_of(mesh["pod"]) == chains_of(mesh["golden"])


def numbered(case: Mapping[str, Any]) -> dict[str, Any]:
    """Group names as numbers: this machine need not have the groups."""
    environ = {name: rename(value) for name, value in case["env"].items()}
    return {**case, "env": environ, "names": " ".join(case["env"].values())}


def rename(value: str) -> str:
    if not re.search(r"[a-z]", value):
        return value
    return ",".join(number(item) for item in value.split(","))


def number(name: str) -> str:
    return str(5000 + sum(map(ord, name))) if name.isalpha() and len(name) > 1 else name


def renumbered(case: Mapping[str, Any], text: str) -> str:
    for name in re.findall(r"[a-z]{2,}", case["names"]):
        text = re.sub(rf"(gid-owner|skgid|skgid !=) {name}\b", rf"\1 {number(name)}", text)
    return text


def with_resolvers(monkeypatch: pytest.MonkeyPatch, facts: Mapping[str, Any]) -> None:
    servers = [*facts.get("dns_servers_v4", ()), *facts.get("dns_servers_v6", ())]
    text = "".join(f"nameserver {server}\n" for server in servers)
    read = host.read
    monkeypatch.setattr(host, "read", lambda path: text if path == host.RESOLV_CONF else read(path))


def load_golden(pod: Pod, case: Mapping[str, Any], backend: str) -> None:
    """Istio's text by iptables-restore, the IPv4 blocks and then the IPv6 ones."""
    text = renumbered(case, conformance.text("iptables", case["golden"]))
    lines = [line for line in text.splitlines() if not line.endswith("-save")]
    blocks = re.findall(r"\* \w+\n.*?^COMMIT$", "\n".join(lines), flags=re.MULTILINE | re.DOTALL)
    v4 = len(case["blocks"]["v4"])
    for base, mine in (("iptables", blocks[:v4]), ("ip6tables", blocks[v4:])):
        if mine:
            argv = [f"{base}-{backend}-restore", "--noflush"]
            done = pod.run(argv, text="\n".join([*mine, ""]))
            assert done.returncode == 0, done.stderr


def chains_of(pod: Pod) -> list[str]:
    """The listing by table and chain; the order of chains and tables means nothing."""
    text = pod.run(["nft", "-s", "list", "ruleset"]).stdout
    return sorted(
        f"{table.split()[1]} {chain.strip()}"
        for table in text.split("table ")[1:]
        for chain in table.split("chain ")[1:]
    )


class TestTwice:
    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize("argv", [ALL, MUCH, ()], ids=["usual", "much", "nothing"])
    def test_second_run_changes_nothing(
        self, pod: Pod, program: Program, backend: str, argv: Sequence[str]
    ) -> None:
        first = program(pod, *argv, "--backend", backend)
        assert first.status == 0, first.err
        assert "rules set" in first.out
        before = saved(pod)
        second = program(pod, *argv, "--backend", backend)
        assert (second.status, second.out) == (0, "everything is in place: nothing changed.\n")
        assert saved(pod) == before

    @pytest.mark.parametrize("backend", BACKENDS)
    def test_auto_stays_with_the_backend_that_has_our_rules(
        self, pod: Pod, program: Program, backend: str
    ) -> None:
        assert program(pod, *ALL, "--backend", backend).status == 0
        assert "nothing changed" in program(pod, *ALL).out

    @pytest.mark.parametrize("backend", XTABLES)
    def test_auto_follows_others(self, pod: Pod, program: Program, backend: str) -> None:
        put_foreign(pod, backend)
        assert f"iptables-{backend}: rules set" in program(pod, *ALL).out

    def test_force_apply(self, pod: Pod, program: Program) -> None:
        assert program(pod, *ALL).status == 0
        before = saved(pod)
        forced = program(pod, *ALL, "--force-apply")
        assert (forced.status, "replaced" in forced.out) == (0, True)
        assert saved(pod) == before

    def test_another_backend_takes_over(self, pod: Pod, program: Program) -> None:
        for backend in ("nft", "legacy", "nftables", "nft"):
            if tool("nft") and tool(f"iptables-{backend.replace('nftables', 'nft')}"):
                assert program(pod, *ALL, "--backend", backend).status == 0
        alone = saved(pod)
        with Mesh("fresh") as mesh:
            assert program(mesh["fresh"], *ALL, "--backend", "nft").status == 0
            assert saved(mesh["fresh"]) == alone


class TestOthers:
    """Rules of others in the same tables, some of them spelled just like ours."""

    @pytest.mark.parametrize("backend", XTABLES)
    @pytest.mark.parametrize("argv", [ALL, MUCH], ids=["usual", "much"])
    def test_set_and_removed(
        self, pod: Pod, program: Program, backend: str, argv: Sequence[str]
    ) -> None:
        put_foreign(pod, backend)
        before = saved(pod)
        assert program(pod, *argv, "--backend", backend).status == 0
        assert without_ours(saved(pod)) == without_ours(before)
        assert "nothing changed" in program(pod, *argv, "--backend", backend).out
        removed = program(pod, *argv, clean=True)
        assert removed.status == 0, removed.err
        assert saved(pod) == before
        assert "nothing changed" in program(pod, *argv, clean=True).out

    @pytest.mark.parametrize("backend", XTABLES)
    def test_changed_flags_replace_only_ours(
        self, pod: Pod, program: Program, backend: str
    ) -> None:
        put_foreign(pod, backend)
        before = saved(pod)
        assert program(pod, *MUCH, "--backend", backend).status == 0
        flags = (*ALL, "-c", "eth8,eth9", "-k", "eth7", "--reconcile", "--backend", backend)
        assert program(pod, *flags).status == 0
        assert "nothing changed" in program(pod, *flags).out
        assert program(pod, *flags, "--cleanup-only").status == 0
        assert saved(pod) == before

    @needed("nft")
    def test_tables_of_others_in_nftables(self, pod: Pod, program: Program) -> None:
        theirs = "add table inet istio-proxy\nadd chain inet istio-proxy c\n"
        theirs += "add rule inet istio-proxy c tcp dport 1-5 limit rate 5/second counter drop\n"
        assert pod.run(["nft", "-f", "-"], text=theirs).returncode == 0
        before = chains_of(pod)
        assert program(pod, *MUCH, "--backend", "nftables").status == 0
        assert set(before) < set(chains_of(pod))
        assert program(pod, clean=True).status == 0
        assert chains_of(pod) == before

    @pytest.mark.parametrize("backend", BACKENDS)
    def test_clean_needs_few_flags(self, pod: Pod, program: Program, backend: str) -> None:
        """Marks and chains are known without flags; interfaces are named if they are not."""
        empty = saved(pod)
        flags = [flag for flag in MUCH if flag not in ("-c", "eth8,eth9")]
        flags = [flag for flag in flags if flag not in ("-k", "eth7")]
        assert program(pod, *flags, "--backend", backend).status == 0
        assert program(pod, clean=True).status == 0
        assert saved(pod) == empty

    def test_unknown_exemption_is_named_and_left(self, pod: Pod, program: Program) -> None:
        assert program(pod, *ALL, "-c", "eth9").status == 0
        done = program(pod, *ALL)
        assert "exempts interface eth9" in done.err
        assert "-A PREROUTING -i eth9 -j RETURN" in str(saved(pod))

    def test_rules_of_others_put_between_ours(self, pod: Pod, program: Program) -> None:
        assert program(pod, *ALL, "--backend", "nft").status == 0
        for rule in ("-I OUTPUT 1 -p udp -j ACCEPT", "-A OUTPUT -p tcp --dport 7 -j ACCEPT"):
            assert pod.run(["iptables-nft", "-t", "nat", *rule.split()]).returncode == 0
        assert "nothing changed" in program(pod, *ALL).out

    @pytest.mark.parametrize(
        "damage", ["-F ISTIO_OUTPUT", "-D OUTPUT 1", "-A ISTIO_OUTPUT -j ACCEPT"]
    )
    def test_damage_is_mended(self, pod: Pod, program: Program, damage: str) -> None:
        assert program(pod, *ALL, "--backend", "nft").status == 0
        before = saved(pod)
        assert pod.run(["iptables-nft", "-t", "nat", *damage.split()]).returncode == 0
        done = program(pod, *ALL)
        assert (done.status, "iptables-nft: rules replaced" in done.out) == (0, True)
        assert saved(pod) == before


def without_ours(rulesets: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Others' chains and rules, by lines; those that ours may look like are counted elsewhere."""
    return {
        name: [
            line
            for table in tables
            for line in table.splitlines()
            if "KUBE" in line or "THEIRS" in line or "MASQ" in line or "4789" in line
        ]
        for name, tables in rulesets.items()
    }


class TestHosts:
    def test_without_ipv6_address(self, program: Program) -> None:
        with Mesh("pod", ipv6=False) as mesh:
            done = program(mesh["pod"], *ALL)
            assert done.status == 0
            assert "no IPv6 address on this host: only IPv4 is captured" in done.err
            assert not any("ISTIO" in table for table in saved(mesh["pod"])["ip6tables-nft"])

    def test_without_ip6tables(
        self, pod: Pod, program: Program, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        find = Runner.find
        monkeypatch.setattr(
            "iptables.execute.Runner.find",
            lambda self, name: None if name.startswith("ip6") else find(self, name),
        )
        done = program(pod, *ALL, "--backend", "nft")
        assert done.status == 0
        assert "this host has IPv6, but ip6tables-nft is not installed; only IPv4" in done.err
        assert "iptables-nft: rules set" in done.out

    def test_passthrough_address(self, program: Program) -> None:
        with Mesh("pod") as mesh:
            pod = mesh["pod"]
            assert pod.run(["ip", "-6", "addr", "del", "::6/128", "dev", "lo"]).returncode == 0
            assert program(pod, *ALL).status == 0
            assert "inet6 ::6/128" in pod.run(["ip", "addr", "show", "lo"]).stdout

    def test_no_such_namespace(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert cli.main(["--network-namespace", str(tmp_path / "none")]) == 2
        assert cli.main(["--network-namespace", str(tmp_path / "file")]) == 1

    def test_dry_run_touches_nothing(self, pod: Pod, program: Program) -> None:
        before = saved(pod)
        assert program(pod, *MUCH, "--dry-run").status == 0
        assert program(pod, *MUCH, "--skip-rule-apply").status == 0
        assert saved(pod) == before
