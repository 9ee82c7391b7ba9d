"""Refusal of other sites' requests by the demo's server, and the headers of its responses."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """Middleware: requests that a page of another site makes are refused; every response has HEADERS, but for
    those that it has set itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if is_of_another_site(scope["method"], Headers(scope=scope)):
            refusal = JSONResponse({"error": "Requests of other sites are refused."}, 403)
            await refusal(scope, receive, send_with_headers)
        else:
            await self.app(scope, receive, send_with_headers)


def is_of_another_site(method: str, headers: Headers) -> bool:
    """Whether the browser says that another site's page makes the request. A link to this one is none."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    try:
        own = origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    except ValueError:  # as of http://[
        own = False
    if not own:
        return True
    link = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
    return site in ("cross-site", "same-site") and not link
