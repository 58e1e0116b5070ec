"""What stands around every page: the style, and the links from one page to another."""

import streamlit as st

from lstmviz.scripts import script
from lstmviz.ui.imports import first, need_torch

# Three gates of three units: the colours of forget, input and output.
COLOURS = ("#b45309", "#15803d", "#1d4ed8")
CELLS = [(x, y, colour) for y, colour in enumerate(COLOURS) for x in range(3) if (x + y) % 3 < 2]
RECTS = "".join(f'<rect x="{x}" y="{y}" width=".9" height=".9" fill="{colour}"/>' for x, y, colour in CELLS)
st.set_page_config(page_title="lstmviz", page_icon=f'<svg viewBox="0 0 3 3">{RECTS}</svg>', layout="wide")

STYLE = """<style>
.block-container {padding: 0 1.8rem 3rem; max-width: 1760px}
[data-testid="stLayoutWrapper"]:has(> .st-key-pages) {position: sticky; top: 0; z-index: 99; /* over maps and menus */
  background: light-dark(#ffffff, #0f1318)} /* of the themes in .streamlit/config.toml */
.st-key-pages {padding: .5rem 0 0; gap: .3rem}
.st-key-pages p {font-size: .875rem}
.st-key-pages [data-testid="stMarkdown"] p {font-size: 1.1rem; font-weight: 700; padding-right: .7rem}
.st-key-pages a {padding: .15rem .5rem; min-height: 1.75rem}
.st-key-budget button {padding-inline: .6rem} /* three in the narrow column of Train */
@media (max-width: 800px) { /* one column, on a phone and at 200 % zoom */
  .block-container {padding: 0 1.1rem 3rem}
  .st-key-figures {overflow-x: auto} /* three side by side, which would be cut off */
  .st-key-curves {min-width: 620px}
  .block-container > div > [data-testid="stLayoutWrapper"] > div > [data-testid="stColumn"] {min-width: 100%}
}
</style>"""


@st.cache_resource(show_spinner=False)
def everywhere() -> str:
    """What is put on every page."""
    return f'{STYLE}<script type="module">{script("frame.js")}</script>'


def come_to(page: str) -> None:
    """Remember which page is shown, and whether it was another one before."""
    from lstmviz.ui.session import Looked, session  # for which the style does not wait

    looked = session(Looked)
    looked.came, looked.shown = looked.shown not in ("", page), page


st.html(everywhere(), unsafe_allow_javascript=True)
first().join()
NAMES = "watch", "train", "compare", "inside", "experiments"
pages = [st.Page(f"{name}.py", title=name.capitalize()) for name in NAMES]
chosen = st.navigation(pages, position="hidden")
come_to(chosen.title)
# Streamlit's own links hide in a sidebar below 768 pixels, and so at 200 % zoom.
with st.container(horizontal=True, vertical_alignment="center", key="pages"):
    st.markdown("lstmviz", width="content")
    for page in pages:
        st.page_link(page)
with st.container():  # so that what follows stays in its place
    if chosen.title in ("Train", "Experiments"):
        need_torch()
chosen.run()
