"""lstmviz: ``streamlit run app.py``, or, where it is installed, ``python -m lstmviz app``, which runs this file."""

import streamlit as st

from lstmviz.ui.server import SCRIPT, in_the_browser

app = st.App(SCRIPT, lifespan=in_the_browser)
