"""lstmviz: ``streamlit run app.py``."""

import gc
from importlib import import_module

import streamlit as st

# Three gates of three units: the colours of forget, input and output.
COLOURS = ("#b45309", "#15803d", "#1d4ed8")
CELLS = [(x, y, colour) for y, colour in enumerate(COLOURS) for x in range(3) if (x + y) % 3 < 2]
RECTS = "".join(f'<rect x="{x}" y="{y}" width=".9" height=".9" fill="{colour}"/>' for x, y, colour in CELLS)
st.set_page_config(page_title="lstmviz", page_icon=f'<svg viewBox="0 0 3 3">{RECTS}</svg>', layout="wide")

STYLE = """<style>
[data-testid="stHeader"] {background: light-dark(#ffffff, #0f1318)} /* of the themes in .streamlit/config.toml */
[data-testid="stHeader"]::before {content: "lstmviz"; font-weight: 700; font-size: 1.1rem; padding-left: 1.8rem}
.block-container {padding: 4.2rem 1.8rem 3rem; max-width: 1760px}
</style>"""

# A box of one line loses the line ends of what is pasted, so they become the sign that stands for them there.
PASTE = """<script>
if (!window.__lstmvizPaste) {
  window.__lstmvizPaste = true;
  document.addEventListener("paste", (event) => {
    const text = event.clipboardData?.getData("text/plain") ?? "", box = event.target;
    if (!box.matches?.(":is(.st-key-text, .st-key-sentence, [class*='st-key-probe_']) input")) return;
    if (!/[\\r\\n]/.test(text)) return;
    event.preventDefault();
    const [sign] = /[⏎␤↵]/.exec(box.placeholder) ?? "⏎";
    document.execCommand("insertText", false, text.replace(/\\r\\n?|\\n/g, sign)); // which can be undone
  }, true);
}
</script>"""


@st.cache_resource(show_spinner="Loading PyTorch…")
def start() -> None:
    """Import everything, once a process.

    Garbage collection meanwhile would take a third of the time and find nothing; and frozen, what was imported is not
    walked by any later collection, of which every keystroke would pay its share.
    """
    gc.disable()
    import torch

    import_module("lstmviz.ui.controls")  # and with it all the rest
    torch.set_num_threads(1)
    gc.freeze()
    gc.enable()


st.html(STYLE + PASTE, unsafe_allow_javascript=True)
start()
pages = [st.Page(f"lstmviz/pages/{name}.py", title=name.capitalize()) for name in ("watch", "train", "compare")]
st.navigation(pages, position="top").run()
