// What a component needs of Streamlit, its host.

import { leadsAway } from "./address.js";
import { BLOCK } from "./constants.js";
import { whenLeaving } from "./shared.js";

// What a component gives back to Streamlit, to be done when its place has left the page. Streamlit awaits a component's
// function; a message that comes meanwhile makes it call what the one before gave back, although the place and all that is
// in it stay. Whoever let go of them then would draw a second map below the first.
export const whenGone = (place, act) => () => { if (!place.isConnected) act(); };

const WAIT = 10_000; // milliseconds; a page that has not come by then does not come
let left = -Infinity; // when somebody went to another page, by a link of ours or by Back and Forward
whenLeaving(() => { left = performance.now(); });
addEventListener("click", (event) => { if (leadsAway(event)) left = performance.now(); }, true);

// Of a component that begins now, what it does while its page stays. What the server is told after somebody has left it would
// be done on the page that comes: old elements among the new ones, at which Streamlit ends with an empty window.
export function whileHere() {
  const begun = performance.now();
  return (act) => (...said) => { if (left < begun || performance.now() > left + WAIT) act(...said); };
}

const SETTLED = 50; // milliseconds after a person did something, when Streamlit has sent what came of it
let acted = -Infinity;
for (const deed of ["keydown", "input", "change", "pointerup", "click"])
  addEventListener(deed, () => { acted = performance.now(); }, true);

// Streamlit sends in a timer of 0 ms what changed until then.
function atOnce(act) {
  const { setTimeout } = window;
  window.setTimeout = (then, wait, ...given) => (wait ? setTimeout(then, wait, ...given) : then(...given));
  try { act(); } finally { window.setTimeout = setTimeout; }
}

// How a component that begins now tells the server something while its page stays: in a message of its own. Streamlit sends
// what changes at one moment as one message, and runs one fragment for it: a key or a click of the same moment, which is
// another fragment's or the whole page's, would get no answer. Of what has to wait, the newest of each name is sent.
export function teller() {
  const waiting = new Map();
  let set = null, timer = 0;
  const speak = whileHere()(() => {
    timer = 0;
    if (performance.now() - acted < SETTLED) return void (timer = setTimeout(speak, SETTLED));
    const said = [...waiting];
    waiting.clear();
    for (const [name, value] of said) atOnce(() => set(name, value));
  });
  return (setValue) => (name, value) => {
    set = setValue;
    waiting.delete(name);
    waiting.set(name, value);
    if (!timer) speak();
  };
}

// Whether some element of the page is still on its way: Streamlit fetches each kind when it is first needed. Until then the
// server is told nothing, since its answer would take the place of what it had put there: the sentence in its box.
export const loading = () => document.querySelector("[data-testid=stSkeleton]") !== null;

// Forget the blocks that no part of the last message needs, and tell the server which whole ones are held.
export function hold(map, parts, send) {
  const whole = parts.flatMap((data) => data?.blocks.filter(([, tokens]) => tokens === BLOCK).map(([name]) => name) ?? []);
  // What was reported before stays until the next report, because the server relies on it.
  const needed = new Set([...whole, ...(map.reported ?? [])]);
  for (const name of map.held.keys()) if (!needed.has(name)) map.held.delete(name);
  clearTimeout(map.reporting);
  if (map.reported?.join() === whole.join()) return;
  const report = () => {
    if (loading()) return void (map.reporting = setTimeout(report, 100));
    map.reported = whole;
    send("held", whole);
  };
  // Once the keys rest, since a report makes the server answer once more.
  map.reporting = setTimeout(report, parts.every(Boolean) && map.reported ? 300 : 0);
}
