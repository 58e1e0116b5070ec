"""lstmviz: ``streamlit run app.py``."""

import gc

import streamlit as st
import torch

st.set_page_config(page_title="lstmviz", page_icon="▦", layout="wide")


@st.cache_resource(show_spinner=False)
def once_per_process() -> None:
    """Streamlit collects garbage after every run; frozen, the imported libraries are not walked each time."""
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()


page = st.navigation([st.Page("lstmviz/pages/watch.py", title="Watch")], position="top")
once_per_process()
page.run()
