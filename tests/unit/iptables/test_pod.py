"""Annotations as options."""

from __future__ import annotations

from ipaddress import ip_interface

import pytest

from iptables import pod
from iptables.options import Options
from iptables.pod import Pod
from tests.unit.iptables.build import People

T = "traffic.sidecar.istio.io/"


def options(environ: dict[str, str] | None = None, **annotations: str) -> Options:
    """Options for a pod with these annotations of the `traffic` group."""
    seen = Pod({T + name: value for name, value in annotations.items()}, environ or {})
    found, problems = pod.options(seen, People())
    assert problems == []
    return found


def test_a_pod_that_says_nothing() -> None:
    assert options() == Options(
        inbound_all=True,
        inbound_ports_excluded=(15020, 15021, 15090),
        outbound_all=True,
        outbound_ports_excluded=(15020,),
        cni_mode=True,
    )


def test_ports_and_ranges() -> None:
    found = options(
        includeInboundPorts="80, 81",
        excludeInboundPorts="15021,7",
        includeOutboundIPRanges="10.0.0.0/8",
        excludeOutboundIPRanges="10.1.0.0/16",
        includeOutboundPorts="9",
        excludeOutboundPorts="5555",
        excludeInterfaces="eth1",
    )
    assert (found.inbound_all, found.inbound_ports) == (False, (80, 81))
    assert found.inbound_ports_excluded == (15021, 7, 15020, 15090)
    assert found.outbound_cidrs == (ip_interface("10.0.0.0/8"),)
    assert found.outbound_cidrs_excluded == (ip_interface("10.1.0.0/16"),)
    assert (found.outbound_ports, found.outbound_ports_excluded) == ((9,), (5555,))
    assert found.excluded_interfaces == ("eth1",)


@pytest.mark.parametrize("text", ["", ",", "7,"])
def test_an_empty_exclusion_still_gets_the_sidecars_ports(text: str) -> None:
    ports = options(excludeInboundPorts=text).inbound_ports_excluded
    assert ports[-3:] == (15020, 15021, 15090)


def test_virtual_interfaces_by_either_name() -> None:
    assert options(kubevirtInterfaces="e1").virtual_interfaces == ("e1",)
    both = Pod({f"{T}kubevirtInterfaces": "e1", "istio.io/reroute-virtual-interfaces": "e2"})
    assert pod.options(both, People())[0].virtual_interfaces == ("e2",)


@pytest.mark.parametrize(
    ("variable", "attribute"),
    [
        ("ISTIO_META_DNS_CAPTURE", "redirect_dns"),
        ("ISTIO_META_DNS_CAPTURE", "capture_all_dns"),
        ("ISTIO_DUAL_STACK", "dual_stack"),
        ("INVALID_DROP", "drop_invalid"),
    ],
)
def test_variables_of_the_proxy(variable: str, attribute: str) -> None:
    assert getattr(options({variable: "true"}), attribute) is True
    assert getattr(options({variable: "false"}), attribute) is False


@pytest.mark.parametrize(
    ("user", "group", "uids", "gids"),
    [
        (None, None, "1337", "1337"),
        (0, 0, "1337", "1337"),
        (1000670000, 5, "1000670000", "5"),
        (7, None, "7", "1337"),
    ],
)
def test_the_proxys_user(user: int | None, group: int | None, uids: str, gids: str) -> None:
    found, _ = pod.options(Pod(run_as_user=user, run_as_group=group), People())
    assert (found.proxy_uids, found.proxy_gids) == ((uids,), (gids,))


def test_modes() -> None:
    name = "sidecar.istio.io/interceptionMode"
    assert pod.options(Pod({name: "TPROXY"}), People())[0].tproxy
    assert not pod.options(Pod({name: "REDIRECT"}), People())[0].tproxy
    assert not pod.captured(Pod({name: "NONE"}))
    assert pod.captured(Pod())


def test_problems_name_the_annotation() -> None:
    seen = Pod(
        {f"{T}includeInboundPorts": "http", "sidecar.istio.io/interceptionMode": "ALL"},
        {"ISTIO_META_DNS_CAPTURE": "perhaps"},
    )
    assert pod.options(seen, People())[1] == [
        f"{T}includeInboundPorts: 'http' is not a port (1 to 65535).",
        "the proxy's variable ISTIO_META_DNS_CAPTURE: 'perhaps' is neither true nor false.",
        "sidecar.istio.io/interceptionMode: 'ALL' is neither REDIRECT nor TPROXY.",
    ]


def test_settings_without_a_flag_come_from_the_agent() -> None:
    environ = {"ISTIO_OUTBOUND_OWNER_GROUPS": "java"}
    assert pod.options(Pod(), People(), environ)[0].owner_groups == ("300",)
