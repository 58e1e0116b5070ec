// What the gate map and the comparison do with the page: the server's messages, buttons, the tooltip, a saved picture.

const BLOCK = 32; // tokens that travel together

// Streamlit makes an entry in the browser's history of every change of the view that the address tells, and of an empty
// address on the way to another page. Here a view takes the place of the one before: Back leaves the page, as it was left.
if (!Object.hasOwn(history, "pushState")) {
  history.pushState = (state, title, url) => {
    const { pathname, search } = new URL(url ?? "", location.href);
    if (pathname !== location.pathname) History.prototype.pushState.call(history, state, title, url);
    else if (search) history.replaceState(state, title, url);
  };
}

// See gate_map.py: header length, header, blocks. `held` has the blocks of earlier messages and gets the new ones.
// Null where a block was left out that is not held (any more).
function decode(bytes, held) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 4 + view.getUint32(0, true);
  const data = JSON.parse(new TextDecoder().decode(bytes.subarray(4, offset)));
  for (const panel of data.panels) {
    panel.units = data.units[data.layers.indexOf(panel.layer)]; // in the order of their rows; fewer once a map has chosen
    panel.size = panel.units.length;
  }
  const width = data.panels.reduce((sum, panel) => sum + panel.size, 0), count = data.blocks.reduce((sum, [, tokens]) => sum + tokens, 0);
  for (const [name, tokens, sent] of data.blocks)
    if (sent) held.set(name, new Uint16Array(bytes.slice(offset, (offset += 2 * tokens * width)).buffer)); // a copy
  if (!data.blocks.every(([name]) => held.has(name))) return null;
  let before = 0; // units of the panels before this one
  for (const panel of data.panels) {
    const { size } = panel;
    let time = 0;
    panel.codes = new Uint16Array(count * size); // (time, unit)
    for (const [name, tokens] of data.blocks) {
      panel.codes.set(held.get(name).subarray(tokens * before, tokens * (before + size)), time * size);
      time += tokens;
    }
    before += size;
  }
  return data;
}

// Forget the blocks that no part of the last message needs, and tell the server which whole ones are held.
function hold(map, parts, send) {
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

// Lay a map out again when its room, the fonts or the screen's pixels change, until what is returned is called: whoever
// listens to the page keeps the map, and all that it holds, alive.
function follow(map) {
  const over = new AbortController(), { signal } = over;
  const again = () => { if (map.width && map.scroll.clientWidth) map.arrange(); };
  const watchPixels = () => {
    const now = matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`);
    now.addEventListener("change", () => { again(); watchPixels(); }, { once: true, signal });
  };
  watchPixels();
  document.fonts.addEventListener("loadingdone", () => { // until then a label was as wide as in another font
    map.labelWidths.clear();
    again();
  }, { signal });
  const room = new ResizeObserver(() => { if (map.scroll.clientWidth !== map.width) again(); });
  room.observe(map.scroll);
  window.addEventListener("resize", again, { signal }); // its height decides how high the panels are
  return () => {
    over.abort();
    room.disconnect();
    for (const timer of [map.timer, map.reporting, map.speech]) clearTimeout(timer);
  };
}

// What is to be said of the text, over its map: each note a kind (look, note, info, warning) and a sentence.
function writeNotes(element, notes) {
  const key = JSON.stringify(notes); // what stays is not read aloud again
  if (element.written === key) return;
  element.written = key;
  element.replaceChildren(...notes.map(([kind, text]) =>
    make("p", kind, "", kind === "look" ? [make("b", "", "Look for: "), text] : [text])));
}

function noteLines() {
  const lines = make("div", "notes");
  lines.setAttribute("role", "status");
  return lines;
}

function button(text, label, act) {
  const element = Object.assign(make("button", "", text), { type: "button", title: label, onclick: act });
  element.setAttribute("aria-label", label);
  return element;
}

function placeTip(tip, box, event) { // beside the pointer, inside the box
  const { left, top, width, height } = box.getBoundingClientRect(), { offsetWidth, offsetHeight } = tip;
  const [x, y] = [event.clientX - left, event.clientY - top];
  tip.style.left = `${x + 18 + offsetWidth > width ? Math.max(0, x - 14 - offsetWidth) : x + 18}px`;
  tip.style.top = `${y + 18 + offsetHeight > height ? y - 14 - offsetHeight : y + 18}px`;
}
