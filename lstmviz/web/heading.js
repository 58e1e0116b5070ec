// What the page is about now. When a person has just asked for it, it comes into view and takes the focus: Streamlit leaves
// the page where it was scrolled to, and a training that begins elsewhere would seem not to.

import { make } from "./dom.js";
import { once } from "./shared.js";

const TRIES = 8, EVERY = 500; // milliseconds; what stands around it is still coming

function reveal(heading) {
  const { top, bottom } = heading.getBoundingClientRect();
  if (top < 56 || bottom > 0.6 * window.innerHeight) heading.scrollIntoView({ block: "start" }); // below the page links
}

export default function heading({ parentElement, data }) {
  const { words, arrived } = JSON.parse(new TextDecoder().decode(data));
  let heading = parentElement.querySelector(".heading");
  if (!heading) {
    heading = parentElement.appendChild(make("h3", "heading"));
    heading.tabIndex = -1; // a keyboard goes on from here, but does not stop here
  }
  heading.textContent = words;
  if (arrived === null || !once(`arrived ${arrived}`)) return; // who leaves the page and comes back has not arrived again
  heading.focus({ preventScroll: true });
  const acted = new AbortController();
  for (const act of ["wheel", "touchstart", "pointerdown", "keydown"])
    window.addEventListener(act, () => acted.abort(), { signal: acted.signal, passive: true });
  let tries = TRIES;
  const again = () => {
    if (acted.signal.aborted || !heading.isConnected) return;
    reveal(heading);
    if ((tries -= 1)) setTimeout(again, EVERY);
    else acted.abort();
  };
  again();
}
