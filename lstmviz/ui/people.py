"""Whose page this is. At home there is one person; in a class each browser is one, whom a secret in a cookie tells."""

from __future__ import annotations

import hashlib
import re

import streamlit as st

from lstmviz.home import Home, is_class

COOKIE = "lstmviz_person"
SECRET = re.compile("[0-9a-f]{32}")


def person_of(secret: str) -> str:
    """Who a secret is: what a folder and a link may say, since nobody finds the secret by it."""
    return hashlib.sha256(f"lstmviz {secret}".encode()).hexdigest()[:16]


def whose() -> Home:
    """Whose page this is; asked once, where a run of a page begins. Without a cookie the page ends with a sentence."""
    here = Home.here()
    if not is_class():
        return here
    secret = st.context.cookies.get(COOKIE, "")
    if not SECRET.fullmatch(secret):
        st.warning(
            "This server is for a class, and knows what is yours by a cookie, which your browser did not send. Allow "
            "cookies for this address and load the page again."
        )
        st.stop()
    return here.of(person_of(secret))
