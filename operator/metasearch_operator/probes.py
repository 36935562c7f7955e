"""The HTTP server for the kubelet's probes: /healthz (the process works) and /readyz (its cache is filled)."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

PORT = 8080


async def serve(is_healthy: Callable[[], bool], is_ready: Callable[[], bool], port: int) -> web.AppRunner:
    """
    Start to answer probes and return the running server.

    It runs in the operator's own event loop on purpose: a loop that hangs cannot answer, and is restarted for it.

    Args:
        is_healthy: called for each /healthz; False answers 503, and the kubelet restarts the container.
        is_ready: called for each /readyz.
        port: 0 takes any free one.
    """

    def answer(holds: Callable[[], bool]) -> Callable[[web.Request], object]:
        async def respond(_request: web.Request) -> web.Response:
            return web.Response(text="ok\n") if holds() else web.Response(text="not ok\n", status=503)

        return respond

    app = web.Application()
    app.router.add_get("/healthz", answer(is_healthy))  # type: ignore[arg-type]
    app.router.add_get("/readyz", answer(is_ready))  # type: ignore[arg-type]
    runner = web.AppRunner(app, access_log=None)  # a line every few seconds would drown the operator's own log
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
