"""A pod's annotations as options, for a node agent that sets rules in place of an init container.

Pure. Names, defaults and what is added to them are Istio's node agent's. They differ from the init
container's in that nobody has filled them in: status ports are excluded here, and DNS capture takes
every resolver, because the pod's resolv.conf can't be seen from outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from iptables.arguments import Given
from iptables.flags import FLAGS, VARIABLES
from iptables.options import DEFAULT_PROXY_UID, Options
from iptables.settings import Names, read

MODE: Final = "sidecar.istio.io/interceptionMode"
MODES: Final = ("REDIRECT", "TPROXY")
NO_CAPTURE: Final = "NONE"
TRAFFIC: Final = "traffic.sidecar.istio.io/"
REROUTE: Final = "istio.io/reroute-virtual-interfaces"
REROUTE_BEFORE: Final = f"{TRAFFIC}kubevirtInterfaces"  # its older name, second to it

# Flag to annotation and its default; lists all.
ANNOTATIONS: Final[Mapping[str, tuple[str, str]]] = {
    "istio-service-cidr": (f"{TRAFFIC}includeOutboundIPRanges", "*"),
    "istio-service-exclude-cidr": (f"{TRAFFIC}excludeOutboundIPRanges", ""),
    "istio-inbound-ports": (f"{TRAFFIC}includeInboundPorts", "*"),
    "istio-local-exclude-ports": (f"{TRAFFIC}excludeInboundPorts", "15020"),
    "istio-outbound-ports": (f"{TRAFFIC}includeOutboundPorts", ""),
    "istio-local-outbound-ports-exclude": (f"{TRAFFIC}excludeOutboundPorts", "15020"),
    "istio-exclude-interfaces": (f"{TRAFFIC}excludeInterfaces", ""),
}
# Merged telemetry, health checks, and the proxy's own metrics: for the kubelet and Prometheus.
ALWAYS_EXCLUDED: Final = ("15020", "15021", "15090")
# Flag to the variable of the proxy's container that sets it.
PROXY_VARIABLES: Final[Mapping[str, str]] = {
    "redirect-dns": "ISTIO_META_DNS_CAPTURE",
    "capture-all-dns": "ISTIO_META_DNS_CAPTURE",
    "dual-stack": "ISTIO_DUAL_STACK",
    "drop-invalid": "INVALID_DROP",
}


@dataclass(frozen=True, slots=True)
class Pod:
    """What of a pod decides about capture; user and group are the proxy container's."""

    annotations: Mapping[str, str] = field(default_factory=dict)
    proxy_environ: Mapping[str, str] = field(default_factory=dict)
    run_as_user: int | None = None
    run_as_group: int | None = None


def captured(pod: Pod) -> bool:
    """Whether the pod wants its traffic captured at all."""
    return pod.annotations.get(MODE) != NO_CAPTURE


def options(
    pod: Pod, names: Names, environ: Mapping[str, str] | None = None
) -> tuple[Options, list[str]]:
    """Options for a pod, and what is wrong with its annotations, a sentence each.

    `environ` is the agent's own and holds the settings that have no flag.
    """
    settings = {flag.name: Given(flag.default, f"--{flag.name}") for flag in FLAGS}
    for name, (default, _) in VARIABLES.items():
        settings[name] = Given((environ or {}).get(name, default), name)
    settings |= _from_annotations(pod.annotations)
    settings |= {
        flag: Given(pod.proxy_environ[name], f"the proxy's variable {name}")
        for flag, name in PROXY_VARIABLES.items()
        if name in pod.proxy_environ
    }
    settings["proxy-uid"] = Given(_id(pod.run_as_user), "the proxy's runAsUser")
    settings["proxy-gid"] = Given(_id(pod.run_as_group), "the proxy's runAsGroup")
    found, problems = read(settings, names)
    mode = pod.annotations.get(MODE, MODES[0])
    if mode not in MODES:
        problems.append(f"{MODE}: {mode!r} is neither REDIRECT nor TPROXY.")
    # A wrong variable is one mistake, though it sets two flags.
    return replace(found, cni_mode=True), list(dict.fromkeys(problems))


def _from_annotations(annotations: Mapping[str, str]) -> dict[str, Given]:
    settings = {
        flag: Given(_items(annotations.get(name, default)), name)
        for flag, (name, default) in ANNOTATIONS.items()
    }
    excluded = settings["istio-local-exclude-ports"]
    ports = dict.fromkeys([*excluded.text.split(","), *ALWAYS_EXCLUDED])
    settings["istio-local-exclude-ports"] = Given(",".join(ports), excluded.where)
    reroute = REROUTE if REROUTE in annotations else REROUTE_BEFORE
    settings["kube-virt-interfaces"] = Given(_items(annotations.get(reroute, "")), reroute)
    mode = annotations.get(MODE, "")
    settings["istio-inbound-interception-mode"] = Given(mode, MODE)
    return settings


def _items(text: str) -> str:
    """Blanks around an annotation's elements are allowed."""
    return ",".join(item.strip() for item in text.split(","))


def _id(number: int | None) -> str:
    """Root and "not said" both mean the usual user: root's traffic is the app's as well."""
    return str(number) if number else DEFAULT_PROXY_UID
