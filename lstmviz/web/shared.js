// What one thing on the page lets another know. Streamlit runs each component as a script of its own, with its own copies of
// the modules that it imports: so what they share hangs on the window, by names that only this file says.
//
//   __lstmviz         the token and unit that is selected or hovered, with its values (see `announce`    map.js writes, readout.js
//                     in map.js); null: there is no map                                                  reads, and tests
//   __lstmvizPainted  {tokens, at, draw}: how many tokens the last painted picture has, when it was      map.js and compare.js write,
//                     painted, and how many milliseconds that took; null: there is no picture            tests and benchmarks read
//   __lstmvizDone     a Set of what is done once in a window                                             heading.js, frame.js
//   __lstmvizModels   a Map of the models that run in this page, by their digests, the newest used last here.js
//   lstmviz:drawing   event: the pixels of what somebody draws, two hexadecimal digits each                pictures.js to here.js
//   lstmviz:leaving   event: by Back or Forward another page is coming                                    frame.js to streamlit.js
//   lstmviz:going     event: the server was asked to go to another page                                    readout.js to frame.js
//   lstmviz:readout   event: __lstmviz has changed                                                       map.js to readout.js
//   lstmviz:select    event, {unit, layer} in its detail: select that unit                               readout.js to map.js
//
// Of the window itself are changed pushState and replaceState of its history, for good (frame.js), and setTimeout, for one call
// (streamlit.js) or one event (frame.js).

const hear = (name, act) => {
  window.addEventListener(name, act);
  return () => window.removeEventListener(name, act); // to be called when nobody listens any more
};

export const current = () => window.__lstmviz;
export function see(what) {
  window.__lstmviz = what;
  window.dispatchEvent(new Event("lstmviz:readout"));
}
export const whenSeen = (act) => hear("lstmviz:readout", act);

export const ask = (detail) => window.dispatchEvent(new CustomEvent("lstmviz:select", { detail }));
export const whenAsked = (act) => hear("lstmviz:select", ({ detail }) => act(detail));

export const heldModels = () => (window.__lstmvizModels ??= new Map());

export const draws = (pixels) => window.dispatchEvent(new CustomEvent("lstmviz:drawing", { detail: pixels }));
export const whenDrawing = (act) => hear("lstmviz:drawing", ({ detail }) => act(detail));

export const leave = () => window.dispatchEvent(new Event("lstmviz:leaving"));
export const whenLeaving = (act) => hear("lstmviz:leaving", act);

export const go = () => window.dispatchEvent(new Event("lstmviz:going"));
export const whenGoing = (act) => hear("lstmviz:going", act);

export const painted = (tokens, draw) => { window.__lstmvizPainted = { tokens, at: performance.now(), draw }; };
export const unpainted = () => { window.__lstmvizPainted = null; };

// Whether nobody asked so before in this window.
export function once(what) {
  const done = (window.__lstmvizDone ??= new Set());
  return done.size < done.add(what).size;
}
