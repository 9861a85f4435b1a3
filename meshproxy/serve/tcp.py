"""An opaque connection: bytes both ways, with back-pressure, half-close and resets carried over.

Also the waiting room of a connection whose protocol nobody declared (`Application.DETECT`): the
client's first bytes decide, or the server, if it speaks first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from meshproxy.aio.reset import reset
from meshproxy.aio.spawn import spawn
from meshproxy.base.errors import Kind, ProxyError, Side
from meshproxy.cluster.endpoints import EndpointState
from meshproxy.plan.plan import Destination, RoutePlan
from meshproxy.serve.admission import admit_tcp
from meshproxy.serve.visit import Visit
from meshproxy.telemetry.metrics import TcpCell
from meshproxy.upstream.tcp import TcpClient


class TcpServer(asyncio.Protocol):
    """The downstream half, and the `TcpSink` of the upstream half.

    It can begin speculatively (`start_quietly`): the upstream is dialled while another protocol
    still waits for the client's first bytes. If the server speaks first this becomes the
    connection's protocol; if the client does, its owner says what it is (`take_over`, `abandon`).
    """

    def __init__(self, visit: Visit, transport: asyncio.Transport) -> None:
        self._serving = visit.serving
        self._visit = visit
        self._chain = visit.chain  # for as long as the connection lasts
        self.listener = visit.listener
        self._transport = transport
        self._upstream: TcpClient | None = None
        self._endpoint: EndpointState | None = None
        self._early: list[bytes] = []
        self._client_ended = False
        self._server_ended = False
        self._closed = False
        self._abandoned = self._refused = False
        self._held = False  # a policy refuses it, unless its bytes turn out to be requests
        self._in_charge = False  # we are the transport's protocol
        self._on_charge: Callable[[], None] | None = None
        self._cell: TcpCell | None = None
        self._reported = (0, 0)
        self._record = visit.record()
        self._last = self._record.start

    # Beginning.

    def start(self) -> None:
        """Take the connection over and dial."""
        self._take_charge()
        self._spawn_dial()

    def start_quietly(self, on_charge: Callable[[], None]) -> None:
        """Dial; take the connection over only if the server speaks, or can't be reached.

        ``on_charge`` is called when that happens.
        """
        self._on_charge = on_charge
        authorize = self._chain.authorize_tcp
        self._held = authorize is not None and authorize(self._record) is not None
        if not self._held:
            self._spawn_dial()

    def start_for(self, server_name: str) -> None:
        """As `start`; the client has asked for a name by TLS."""
        if server_name:
            self._record.server_name = server_name
        self.start()

    def take_over(self, data: bytes) -> None:
        """What the client said is opaque: here it is (nothing, where it only ended its side)."""
        self._on_charge = None
        self._take_charge()
        if self._held:
            self._spawn_dial()
        if self._upstream is not None:
            self._open_cell()
        if data:
            self.data_received(data)

    def abandon(self) -> None:
        """The connection is none of ours after all."""
        self._abandoned = True
        if self._upstream is not None:
            self._upstream.transport.close()
        self._release()

    def _take_charge(self) -> None:
        if not self._in_charge:
            self._in_charge = True
            self._transport.set_write_buffer_limits(self._chain.settings.buffer_bytes)
            self._transport.set_protocol(self)
            self._serving.connections.add(self)
            if self._on_charge is not None:
                self._on_charge()

    def _spawn_dial(self) -> None:
        spawn(self._serving.loop, self._dial(), f"tcp {self._record.local}")

    async def _dial(self) -> None:
        record = self._record
        try:
            admit_tcp(self._serving, self._chain, record)
            route = self._chain.route_tcp(record.local.ip, record.server_name)
            if route is None:
                raise ProxyError(Kind.NO_ROUTE, "no TCP route", Side.US)
            self._upstream = await self._connect(route)
        except ProxyError as error:
            self._refuse(error)
            return
        if self._closed or self._abandoned:
            self._upstream.transport.abort()
            self._release()
            if self._closed:
                self._finish()
            return
        record.upstream_local = self._upstream.local
        record.upstream_secured = self._upstream.secured
        self._begin()

    async def _connect(self, route: RoutePlan) -> TcpClient:
        record, settings = self._record, self._chain.settings
        record.route = route
        cluster = self._choose(route).slot.plan
        if cluster is None:
            raise ProxyError(Kind.NO_CLUSTER, "the route's cluster does not exist", Side.US)
        record.cluster = cluster
        upstreams = self._serving.upstreams
        endpoint = await upstreams.endpoint_in_time(cluster, record.local, record.client)
        self._endpoint = record.endpoint = endpoint
        record.upstream = endpoint.address
        if not self._chain.inbound:
            record.peer = endpoint.peer
        endpoint.active += 1
        endpoint.pool.open += 1
        return await upstreams.connect(
            cluster, endpoint, lambda: TcpClient(endpoint, settings.buffer_bytes)
        )

    def _choose(self, route: RoutePlan) -> Destination:
        if route.only is not None:
            return route.only
        assert route.choose is not None
        self._record.draw = draw = self._serving.draw()
        return route.choose(draw)

    def _begin(self) -> None:
        """Both halves are there: pass on what has come already."""
        assert self._upstream is not None
        early, self._early = self._early, []
        for data in early:
            self._upstream.transport.write(data)
        if early and not self._transport.is_closing():
            self._transport.resume_reading()
        if self._in_charge:
            self._open_cell()
        if self._client_ended:
            self._upstream.transport.write_eof()
        self._upstream.listen(self)

    def _refuse(self, error: ProxyError) -> None:
        """Nobody to talk to: the client sees a reset, as it would without us."""
        record = self._record
        self._refused = True
        record.flags = error.meaning.flag if error.meaning.flag != "-" else ""
        record.details = error.details
        record.transport_failure = error.reason if record.flags == "UF" else ""
        if self._abandoned:
            self._release()
        elif self._closed:
            self._finish()
        else:
            self._take_charge()
            reset(self._transport)

    # The downstream transport calls these.

    def data_received(self, data: bytes) -> None:
        self._record.wire_in += len(data)
        self._last = self._serving.now()
        if self._upstream is not None:
            self._upstream.transport.write(data)
        else:
            self._early.append(data)
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._client_ended = True
        if self._upstream is not None and not self._upstream.transport.is_closing():
            self._upstream.transport.write_eof()
            self._close_if_ended()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._serving.limits.connection_closed()
        if self._upstream is not None and not self._upstream.closed:
            if isinstance(exc, ConnectionResetError):
                self._record.flags = "DC"
                reset(self._upstream.transport)
            else:
                self._upstream.transport.close()
        elif self._upstream is None and not self._refused:
            self._record.flags = "DC"
            return  # `_dial` finds out and ends it
        self._finish()

    def pause_writing(self) -> None:
        if self._upstream is not None:
            self._upstream.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._upstream is not None and not self._upstream.closed:
            self._upstream.transport.resume_reading()

    # The upstream half calls these.

    def on_upstream_data(self, data: bytes) -> None:
        self._settle()
        self._record.wire_out += len(data)
        self._last = self._serving.now()
        self._transport.write(data)

    def on_upstream_eof(self) -> None:
        self._settle()
        self._server_ended = True
        if not self._transport.is_closing():
            self._transport.write_eof()
            self._close_if_ended()

    def on_upstream_lost(self, exc: Exception | None) -> None:
        if self._closed or self._abandoned:
            return
        self._settle()
        if isinstance(exc, ConnectionResetError):
            self._record.flags = "UC"
            reset(self._transport)
        else:
            self._transport.close()

    def _settle(self) -> None:
        """The server did something first: the protocol is an opaque one."""
        if not self._in_charge and not self._abandoned:
            self._take_charge()
            self._open_cell()

    def on_upstream_writable(self, writable: bool) -> None:
        if self._transport.is_closing():
            return
        if writable:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    # Ending.

    def _close_if_ended(self) -> None:
        if self._client_ended and self._server_ended:
            assert self._upstream is not None
            self._upstream.transport.close()
            self._transport.close()

    def _open_cell(self) -> TcpCell:
        if self._cell is None:
            self._cell = self._chain.open_tcp(self._record)
            self._cell.opened += 1
        return self._cell

    def _release(self) -> None:
        if self._endpoint is not None:
            self._endpoint.release(200)
            self._endpoint = None
            self._serving.upstreams.forget_client(self._record.client)

    def _finish(self) -> None:
        self._serving.connections.discard(self)
        record = self._record
        self._release()
        self._open_cell().closed += 1
        self._report()
        record.duration_ms = int((self._serving.now() - record.start) * 1000)
        record.body_in, record.body_out = record.wire_in, record.wire_out
        self._chain.finish_tcp(record)

    def _report(self) -> None:
        """Bring the cell up to date; long connections are counted while they live."""
        if self._cell is not None:
            record, (received, sent) = self._record, self._reported
            self._cell.received += record.wire_in - received
            self._cell.sent += record.wire_out - sent
            self._reported = (record.wire_in, record.wire_out)

    # The worker calls these.

    @property
    def busy(self) -> bool:
        return True

    def check(self, now: float) -> None:
        self._report()
        idle = self._chain.settings.tcp_idle_timeout
        if idle and now - self._last > idle:
            self._transport.close()

    def still_admitted(self) -> bool:
        if not self._visit.still_admitted():
            return False
        chain = self._visit.chain
        judge = chain.authorize_tcp
        return not chain.deny and (judge is None or judge(self._record) is None)

    def drain(self) -> None:
        """An opaque connection can't be told that we are leaving: it may end by itself."""

    def abort(self) -> None:
        self._transport.abort()
