"""lstmviz: ``streamlit run app.py``, or, where it is installed, ``python -m lstmviz app``, which runs this file."""

import os

# Before numpy is there: a second thread of its products gains nothing on a key, and spins on a core that others need.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import streamlit as st
from starlette.middleware import Middleware

from lstmviz.ui.server import SCRIPT, Guard, in_the_browser

app = st.App(SCRIPT, middleware=[Middleware(Guard)], lifespan=in_the_browser)
