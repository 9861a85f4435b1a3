"""The status port: is the sidecar ready?"""

from __future__ import annotations

from collections.abc import Callable

from meshproxy.admin.server import Answer, Request, Routes


def health_routes(unready_reason: Callable[[], str]) -> Routes:
    """``/healthz/ready``: 200, or 503 with the reason as a sentence."""

    async def ready(request: Request) -> Answer:
        reason = unready_reason()
        return Answer("") if not reason else Answer(f"not ready: {reason}\n", 503)

    routes = Routes()
    routes.add("/healthz/ready", ready)
    return routes
