"""The app's server: how it is begun, what it refuses, and what it tells the browser to refuse."""

from __future__ import annotations

import asyncio
import secrets
import sys
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.web import cli
from streamlit.web.server.server_util import get_url

from lstmviz.home import SHIPPED, is_class
from lstmviz.ui.imports import first
from lstmviz.ui.people import COOKIE, SECRET

SCRIPT = Path(__file__).parents[1] / "pages" / "frame.py"

# Streamlit's page, and components whose script is a part of a message, need scripts in the page itself and in blobs.
# All else comes from this server alone, and nothing is sent anywhere else.
POLICY = {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-inline' blob:",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "media-src": "'self' blob:",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "content-security-policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
YEAR = 365 * 24 * 3600  # seconds; a browser keeps no cookie much longer, so each load of the page gives it anew


class Guard:
    """Between the browser and Streamlit: refuses what other pages ask, and answers with ``HEADERS``.

    Streamlit itself takes requests from pages of any port of this machine. In a class it gives the browser its secret.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one websocket."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        asked = HTTPConnection(scope)
        origin = asked.headers.get("origin")
        allowed = (f"{each}".strip() for each in st.get_option("server.corsAllowedOrigins"))
        if origin and urlsplit(origin).netloc != asked.headers.get("host") and origin not in allowed:
            refused = PlainTextResponse("a page of another address may not use this one", 403)
            return await (refused if scope["type"] == "http" else WebSocketClose())(scope, receive, send)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if is_class() and "text/html" in asked.headers.get("accept", ""):
                    headers.append("set-cookie", cookie(asked))
            await send(message)

        await self.app(scope, receive, answer)


def cookie(asked: HTTPConnection) -> str:
    """The secret by which a browser is known from now on: the one that it has, or a new one."""
    secret = asked.cookies.get(COOKIE, "")
    secret = secret if SECRET.fullmatch(secret) else secrets.token_hex(16)
    safe = "https" in (asked.url.scheme, asked.headers.get("x-forwarded-proto"))
    return f"{COOKIE}={secret}; Max-Age={YEAR}; Path=/; HttpOnly; SameSite=Lax" + "; Secure" * safe


def serve(arguments: list[str]) -> None:
    """Show the app until somebody stops it, as ``streamlit run app.py`` does in a clone.

    The settings are those of .streamlit/config.toml beside app.py, wherever the person stands.

    Args:
        arguments: Streamlit's, ``["--server.port", "8502"]``.
    """
    sys.argv = ["streamlit", "run", str(SHIPPED / "app.py"), *arguments]
    cli.main(prog_name="streamlit")


@asynccontextmanager
async def in_the_browser(_: st.App) -> AsyncIterator[None]:
    """Open the app in the person's browser: Streamlit does that for a script, but not for an ``st.App``; and while that
    loads, import what it is about to ask for.
    """
    take_nothing_back()
    first()
    if not st.get_option("server.headless"):
        address = get_url(st.get_option("server.address") or "localhost")
        asyncio.get_running_loop().call_later(0.2, webbrowser.open, address)  # once it answers
    yield


def take_nothing_back() -> None:
    """A run of some fragments leaves what still waits to be sent, as if it had been.

    Streamlit takes back the elements of these fragments, which are about to be sent anew, but not the word that the
    whole run before has ended, at which the browser removes all that did not come with that run: on a busy machine a
    page that was renewed just before lost its map, and its box the sentence. Why it takes back anything, which this
    respects: https://github.com/streamlit/streamlit/pull/9381.
    """
    clear = ForwardMsgQueue.clear

    def keep(
        self: ForwardMsgQueue, retain_lifecycle_msgs: bool = False, fragment_ids_this_run: list[str] | None = None
    ) -> None:
        clear(self, retain_lifecycle_msgs, None if fragment_ids_this_run is None else [])

    ForwardMsgQueue.clear = keep
