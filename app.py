"""lstmviz: ``streamlit run app.py``, or, where it is installed, ``python -m lstmviz app``, which runs this file."""

import streamlit as st
from starlette.middleware import Middleware

from lstmviz.ui.server import SCRIPT, Guard, in_the_browser

app = st.App(SCRIPT, middleware=[Middleware(Guard)], lifespan=in_the_browser)
