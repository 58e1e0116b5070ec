"""The app's server: how it is begun, and how the browser comes to it."""

from __future__ import annotations

import asyncio
import sys
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from streamlit.web import cli
from streamlit.web.server.server_util import get_url

from lstmviz.home import SHIPPED

SCRIPT = Path(__file__).parents[1] / "pages" / "frame.py"


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
    """Open the app in the person's browser: Streamlit does that for a script, but not for an ``st.App``."""
    if not st.get_option("server.headless"):
        address = get_url(st.get_option("server.address") or "localhost")
        asyncio.get_running_loop().call_later(0.2, webbrowser.open, address)  # once it answers
    yield
