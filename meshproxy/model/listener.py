"""What is listened on, and what is done with a connection by where it was going."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from meshproxy.model.origin import BUILT_IN, Origin
from meshproxy.model.route import TcpRoute
from meshproxy.model.tls import DownstreamTls


class Direction(Enum):
    """``OUTBOUND``: the app calls. ``INBOUND``: the app is called."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"


class Application(Enum):
    """What bytes a port's connections carry (Istio's protocol selection).

    ``DETECT``: the port does not say; the first bytes decide, or the server if it speaks first.
    """

    TCP = "tcp"
    HTTP = "http"
    DETECT = "detect"


@dataclass(frozen=True, slots=True)
class FilterChain:
    """What happens to the connections of one destination.

    ``port`` 0 means any port, an empty ``ips`` any address; the most exact chain wins.
    HTTP is routed by ``route_config``, or all of it sent to ``tcp``'s one cluster when that is "".
    Beside a ``route_config``, ``tcp`` takes connections that turn out not to be HTTP. Before
    ``tcp``, ``rules`` are asked; the one that fits best wins (`route/l4.py`).
    ``deny``: a policy refuses everything here; the text names it for log and metric alone.
    ``mtls``: the mesh's mutual TLS is ended here, or ``tls``, which is the port's own.
    ``refuse_plaintext``: nothing else may enter; the text says who asks for that.
    """

    name: str
    application: Application
    port: int = 0
    ips: tuple[str, ...] = ()
    route_config: str = ""
    tcp: TcpRoute | None = None
    deny: str = ""
    mtls: bool = False
    refuse_plaintext: str = ""
    origin: Origin = field(default=BUILT_IN, compare=False)
    rules: tuple[TcpRoute, ...] = ()
    tls: DownstreamTls | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """One address that the sidecar listens on.

    ``captured``: connections arrive by redirect rules and their original destination picks the
    chain. Otherwise there is one chain, and ``chains`` holds just that. ``transparent``: the rules
    are TPROXY's, which leave a connection's addresses as they are.
    """

    name: str
    direction: Direction
    captured: bool
    port: int
    bind: tuple[str, ...]
    chains: tuple[FilterChain, ...] = ()
    transparent: bool = False
    origin: Origin = field(default=BUILT_IN, compare=False)
