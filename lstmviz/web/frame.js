// What pages/frame.py puts on every page, once a window.

import { leadsAway } from "./address.js";
import { leave, once, whenGoing } from "./shared.js";

const ON_ITS_WAY = 10_000; // milliseconds after a person did something, in which a busy page may not have told the server yet
const SAID = 20; // and in which it has sent what a box says as it is left, for which it may take more than one task
const BOXES = ":is(.st-key-text, .st-key-sentence, .st-key-read, [class*='st-key-probe_']) input"; // of sentences

if (once("frame")) {
  // BEWARE: this replaces `history.pushState` and `replaceState` for the whole app, and for good. Streamlit pushes what its server
  // corrects in the address, and an empty address on the way to another page. Here a view takes the place of the one before:
  // Back leaves the page, as it was left. What the server says of the address of a page that is coming may come before that page
  // has its own, which then says it, too: it is not the address of the page that is left.
  const { pushState, replaceState } = history;
  let address = location.href; // of the page that is shown
  let going = -Infinity; // when somebody followed a link to another page, or asked for it, which has not come yet
  const goes = () => { going = performance.now(); };
  addEventListener("click", (event) => { if (leadsAway(event)) goes(); }, true);
  whenGoing(goes);
  history.replaceState = (...given) => {
    replaceState.apply(history, given);
    address = location.href;
  };
  history.pushState = (state, title, url) => {
    const { pathname, search } = new URL(url ?? "", location.href);
    if (pathname !== location.pathname) {
      going = -Infinity;
      pushState.call(history, state, title, url);
    } else if (search && performance.now() - going > ON_ITS_WAY) replaceState.call(history, state, title, url);
    address = location.href;
  };

  // What a box says as somebody leaves it, of keys that had not rested, goes in a message of its own: else Streamlit sends it
  // with the click that left it, 0 ms later, and the click gets no answer (see streamlit.js).
  let setTimeout = null; // the window's own, meanwhile
  const restore = () => { if (setTimeout) [window.setTimeout, setTimeout] = [setTimeout, null]; };
  addEventListener("focusout", ({ target }) => {
    if (!target.matches?.(BOXES)) return;
    const own = (setTimeout ??= window.setTimeout);
    window.setTimeout = (then, wait, ...given) => (wait ? own(then, wait, ...given) : then(...given));
    own(restore); // if what is heard below stops before it comes back here
  }, true);
  addEventListener("focusout", restore);

  // What somebody typed just before Back is sent before Back is, and from where they did it. Streamlit sends it in a timer of 0 ms,
  // with the name of the page that was left and the address as it is then: behind Back's own message it would win, and that page
  // would stay, under the address of the other.
  let acted = -Infinity, coming = null, late = null; // where to, and a Back that waited
  for (const deed of ["keydown", "input", "change", "pointerup", "click"]) addEventListener(deed, () => { acted = performance.now(); }, true);
  addEventListener("popstate", (event) => {
    if (event === late) return;
    leave();
    if (performance.now() - acted > ON_ITS_WAY) return void (address = location.href);
    event.stopImmediatePropagation();
    const waits = coming !== null;
    coming = { state: event.state, href: location.href }; // of two Backs at once the last
    replaceState.call(history, event.state, "", address);
    document.activeElement?.blur(); // a box says what it had not said yet
    if (!waits) window.setTimeout(() => {
      const { state, href } = coming;
      coming = null;
      history.replaceState(state, "", href);
      dispatchEvent((late = new PopStateEvent("popstate", { state })));
    }, SAID);
  }, true);

  // A box of one line loses the line ends of what is pasted, so they become the sign that stands for them there.
  document.addEventListener("paste", (event) => {
    const text = event.clipboardData?.getData("text/plain") ?? "", box = event.target;
    if (!box.matches?.(BOXES)) return;
    if (!/[\r\n]/.test(text)) return;
    event.preventDefault();
    const [sign] = /[⏎␤↵]/.exec(box.placeholder) ?? "⏎";
    document.execCommand("insertText", false, text.replace(/\r\n?|\n/g, sign)); // which can be undone
  }, true);
}
