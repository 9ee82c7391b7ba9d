"""Connections to the demo's server: limited in number, and each request with its response in time.

uvicorn's own limits begin with a request: a connection without one, or whose headers never end, would stay.
"""

from __future__ import annotations

import asyncio

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 64  # a browser has six
EXCHANGE_SECONDS = 60.0  # from a connection, or the response before, to the end of the response


class Connection(H11Protocol):
    """uvicorn's connection, closed where there are more, or where it takes longer."""

    deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to count its time, or close it."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        else:
            self._set_deadline()

    def on_response_complete(self) -> None:
        """Count the time of the next request anew."""
        self._set_deadline()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to count its time."""
        if self.deadline:
            self.deadline.cancel()
        super().connection_lost(exc)

    def _set_deadline(self) -> None:
        if self.deadline:
            self.deadline.cancel()
        if not self.transport.is_closing():
            # Not close, which would wait until a client has read the response.
            self.deadline = self.loop.call_later(EXCHANGE_SECONDS, self.transport.abort)


def server(app: ASGIApp) -> uvicorn.Server:
    """A server of `app` whose connections are limited."""
    config = uvicorn.Config(app, http=Connection, log_level="warning", timeout_graceful_shutdown=2)
    return uvicorn.Server(config)
