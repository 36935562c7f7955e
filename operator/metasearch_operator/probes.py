"""Answers the kubelet: /healthz, whether the process is worth keeping; /readyz, whether it has seen its searches."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

PORT = 8080


async def serve(is_healthy: Callable[[], bool], is_ready: Callable[[], bool], port: int) -> web.AppRunner:
    """Start to answer, from the running event loop: one that hangs does not answer, and that is meant."""

    def answer(holds: Callable[[], bool]) -> Callable[[web.Request], object]:
        async def respond(_request: web.Request) -> web.Response:
            return web.Response(text="ok\n") if holds() else web.Response(text="not ok\n", status=503)

        return respond

    app = web.Application()
    app.router.add_get("/healthz", answer(is_healthy))  # type: ignore[arg-type]
    app.router.add_get("/readyz", answer(is_ready))  # type: ignore[arg-type]
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
