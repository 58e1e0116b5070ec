// What pages/frame.py puts on every page, once a window.

import { first } from "./shared.js";

if (first("frame")) {
  // BEWARE: this replaces `history.pushState` for the whole app, and for good. Streamlit pushes what its server corrects in the
  // address, and an empty address on the way to another page. Here a view takes the place of the one before: Back leaves the
  // page, as it was left.
  const { pushState } = history;
  history.pushState = (state, title, url) => {
    const { pathname, search } = new URL(url ?? "", location.href);
    if (pathname !== location.pathname) pushState.call(history, state, title, url);
    else if (search) history.replaceState(state, title, url);
  };

  // A box of one line loses the line ends of what is pasted, so they become the sign that stands for them there.
  document.addEventListener("paste", (event) => {
    const text = event.clipboardData?.getData("text/plain") ?? "", box = event.target;
    if (!box.matches?.(":is(.st-key-text, .st-key-sentence, [class*='st-key-probe_']) input")) return;
    if (!/[\r\n]/.test(text)) return;
    event.preventDefault();
    const [sign] = /[⏎␤↵]/.exec(box.placeholder) ?? "⏎";
    document.execCommand("insertText", false, text.replace(/\r\n?|\n/g, sign)); // which can be undone
  }, true);
}
