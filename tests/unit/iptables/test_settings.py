"""Settings as options, and every problem in one go."""

from __future__ import annotations

from ipaddress import ip_interface

import pytest

from iptables.options import Backend, Options
from tests.unit.iptables.build import options, read


def test_nothing_given() -> None:
    assert options() == Options()


def test_everything_typed() -> None:
    found = options(
        "-b", "80,443", "-d", "1", "-i", "10.0.0.0/8", "-x", "10.1.0.0/16,2001:db8::/32", "-q", "5",
        "-o", "6", "-c", "eth1", "-k", "eth2", "-m", "TPROXY", "-t", "7", "-r", "8", "-u", "3,4",
        "-g", "5", "--probe-timeout", "2s", "--iptables-probe-port", "9", "--cni-mode=true",
    )  # fmt: skip
    assert found == Options(
        inbound_ports=(80, 443),
        inbound_ports_excluded=(1,),
        outbound_cidrs=(ip_interface("10.0.0.0/8"),),
        outbound_cidrs_excluded=(ip_interface("10.1.0.0/16"), ip_interface("2001:db8::/32")),
        outbound_ports=(5,),
        outbound_ports_excluded=(6,),
        excluded_interfaces=("eth1",),
        virtual_interfaces=("eth2",),
        tproxy=True,
        tproxy_mark=7,
        tproxy_table=8,
        proxy_uids=("3", "4"),
        proxy_gids=("5",),
        probe_timeout=2.0,
        probe_port=9,
        cni_mode=True,
    )


@pytest.mark.parametrize("mode", ["", "REDIRECT", "tproxy", "anything"])
def test_anything_but_tproxy_is_redirect(mode: str) -> None:
    assert not options("-m", mode).tproxy


class TestOwners:
    def test_the_user_of_the_proxy(self) -> None:
        found = options(ENVOY_USER="istio-proxy")
        assert (found.proxy_uids, found.proxy_gids) == (("1234",), ("1234",))

    def test_gid_follows_uid(self) -> None:
        assert options("-u", "7,8").proxy_gids == ("7", "8")

    def test_names_become_numbers(self) -> None:
        found = options("-u", "alice,9", "-g", "java", ISTIO_OUTBOUND_OWNER_GROUPS="ftp,5")
        assert found.proxy_uids == ("501", "9")
        assert found.proxy_gids == ("300",)
        assert found.owner_groups == ("301", "5")

    def test_a_dry_run_keeps_names_and_does_not_ask_for_them(self) -> None:
        found = options("-u", "bob", "-g", "java", "--dry-run")
        assert (found.proxy_uids, found.proxy_gids) == (("bob",), ("java",))

    def test_unknown_names(self) -> None:
        _, problems = read("-u", "bob", "-g", "java,bobs", ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE="g")
        assert problems == [
            "--proxy-uid: there is no user 'bob' on this host.",
            "--proxy-gid: there is no group 'bobs' on this host.",
            "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE: there is no group 'g' on this host.",
        ]

    def test_an_empty_list_of_groups_is_not_all(self) -> None:
        found = options(ISTIO_OUTBOUND_OWNER_GROUPS="")
        assert (found.owner_groups_all, found.owner_groups) == (False, ())


@pytest.mark.parametrize(
    ("argv", "backend"),
    [
        ((), Backend.AUTO),
        (("--backend", "nft"), Backend.NFT),
        (("--native-nftables",), Backend.NFTABLES),
        (("--force-iptables-binary", "legacy"), Backend.LEGACY),
        (("--force-iptables-binary", "nft", "--backend", "nft"), Backend.NFT),
    ],
)
def test_backend(argv: tuple[str, ...], backend: Backend) -> None:
    assert options(*argv).backend is backend


GROUPS = "ISTIO_OUTBOUND_OWNER_GROUPS"
LOOPBACK = "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR"


@pytest.mark.parametrize(
    ("argv", "environ", "where", "what"),
    [
        ("-b 80,x", {}, "--istio-inbound-ports", "'x' is not a port (1 to 65535)"),
        ("", {"ISTIO_INBOUND_PORTS": "0"}, "ISTIO_INBOUND_PORTS", "'0' is not a port"),
        ("-x *", {}, "--istio-service-exclude-cidr", "'*' would exclude everything"),
        ("-b 80 -d 80", {}, "--istio-inbound-ports", "80 is also excluded, by --istio-local-e"),
        ("-q 80 -o 80", {}, "--istio-outbound-ports", "80 is also excluded, by --istio-local-o"),
        ("-c e1 -k e1", {}, "--kube-virt-interfaces", "e1 is also excluded, by --istio-exclude-"),
        ("--backend ipfw", {}, "--backend", "'ipfw' is none of auto, nft, legacy and nftables"),
        ("--force-iptables-binary x", {}, "--force-iptables-binary", "neither legacy nor nft"),
        ("--backend nft --native-nftables", {}, "--backend and --native-nftables", "different"),
        ("", {"DROP_INVALID": "maybe"}, "DROP_INVALID", "'maybe' is neither true nor false"),
        ("", {LOOPBACK: "10.0.0.0/8"}, LOOPBACK, "not a range of IPv4 loopback"),
        ("", {GROUPS: ",".join(map(str, range(65)))}, GROUPS, "65 groups are more than 64"),
        ("-u ,", {}, "--proxy-uid", "',' names nobody"),
        ("", {"PROXY_GID": ",,"}, "PROXY_GID", "',,' names nobody"),
        ("-m TPROXY -t 1338", {}, "--istio-inbound-tproxy-mark", "1338 marks"),
    ],
)
def test_problem(argv: str, environ: dict[str, str], where: str, what: str) -> None:
    _, problems = read(*argv.split(), **environ)
    assert len(problems) == 1
    assert problems[0].startswith(where)
    assert what in problems[0]


def test_all_problems_at_once() -> None:
    _, problems = read("-b", "0,70000", "-i", "1.2.3.4", "-p", "", "--dual-stack=perhaps")
    assert len(problems) == 5
    assert all(problem.endswith(".") and "\n" not in problem for problem in problems)


def test_what_the_injector_excludes_is_no_contradiction() -> None:
    """It always excludes the sidecar's own ports, also where the pod lists what to capture."""
    assert options("-b", "80,15021", "-d", "15090,15021,15020").inbound_ports == (80, 15021)


def test_the_same_range_in_and_out_is_no_contradiction() -> None:
    assert options("-i", "10.0.0.0/8", "-x", "10.0.0.0/8").outbound_cidrs
