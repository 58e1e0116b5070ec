// The gate map as a thing on the page: it takes the server's messages, and answers pointer and keys without the server.

import { heldOf, keptOf } from "./deeds.js";
import { button, follow, make, noteLines, placeTip, writeNotes } from "./dom.js";
import { Picture, readTheme, RIGHT } from "./picture.js";
import "./history.js";
import { linkButton, PAD, pictureButton, wrapped } from "./present.js";
import { hold, whenGone } from "./streamlit.js";
import { clamp } from "./view.js";
import { decode } from "./wire.js";
import { drawable, missing, named, number, perplexity, soFar } from "./words.js";

class GateMap extends Picture {
  constructor(root) {
    super();
    this.held = new Map(); // blocks of values by name
    this.reported = null; // what the server was told last
    this.box = root.appendChild(make("div", "map"));
    this.box.map = this; // for tests, and for the curious
    this.box.tabIndex = 0;
    this.box.setAttribute("role", "application");
    this.box.setAttribute("aria-label", "Gate map. Left and right choose a token, up and down a unit, + and - zoom.");
    this.notes = noteLines();
    this.note = make("span", "note");
    this.narrower = button("−", "narrower columns", () => this.zoom(0.5, 1));
    this.wider = button("+", "wider columns", () => this.zoom(2, 1));
    this.lower = button("−", "lower rows", () => this.zoom(1, 0.5));
    this.higher = button("+", "higher rows", () => this.zoom(1, 2));
    this.fit = button("fit", "fit the map to the page", () => this.reset());
    this.link = linkButton();
    const columns = make("span", "group", "columns", [this.narrower, this.wider]);
    const heights = make("span", "group", "rows", [this.lower, this.higher]);
    this.hoverColumn = make("div", "hover");
    this.spacer = make("div", "spacer"); // as wide as all columns, so that there is something to scroll
    this.scroll = make("div", "scroll", "", [make("div", "stage", "", [this.canvas, this.hoverColumn]), this.spacer]);
    this.tip = make("div", "tip");
    this.spoken = make("div", "spoken");
    this.spoken.setAttribute("aria-live", "polite");
    const bar = make("div", "bar", "", [this.note, columns, heights, this.fit, this.link, pictureButton(this, "gates.png")]);
    this.box.append(this.notes, bar, this.scroll, this.tip, this.spoken);
    this.listen();
  }

  // A message: notes and height, then the map, which may leave out what this page holds already. Without a text there is
  // no map, and its place waits for one.
  receive(bytes, send) {
    const end = 4 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    const { notes, height } = JSON.parse(new TextDecoder().decode(bytes.subarray(4, end)));
    writeNotes(this.notes, notes);
    this.box.classList.toggle("empty", end === bytes.length);
    if (end === bytes.length) return this.clear();
    const data = decode(bytes.subarray(end), this.held);
    if (data) {
      // An unknown token is drawn as it was typed; dashes below it and the tooltip say what the model reads instead.
      data.labels = data.tokens.map((token, t) => drawable((data.unknown[t] && data.typed[t]) || token));
      data.height = height;
      this.update(data, send);
    }
    hold(this, [data], send);
  }

  clear() { // and with it goes what the readout shows
    clearTimeout(this.timer);
    clearTimeout(this.speech);
    this.data = this.told = this.sent = window.__lstmviz = null;
    window.__lstmvizPainted = { tokens: 0, at: performance.now(), draw: 0 };
    window.dispatchEvent(new CustomEvent("lstmviz:readout"));
  }

  // New data or a new theme. The server's selection wins only if it is neither what it said before nor what we sent.
  update(data, send) {
    const asked = JSON.stringify(data.selection), last = data.tokens.length - 1, before = this.data;
    const following = before && this.time === before.tokens.length - 1;
    Object.assign(this, { data, send, theme: readTheme(this.box) });
    this.link.hidden = !data.linked; // where the address tells nothing of what is shown
    if (asked !== this.told && asked !== this.sent) Object.assign(this, data.selection, { sent: null });
    else if (following) this.time = last; // the newest token was selected: stay with the newest
    this.told = asked;
    if (!data.layers.includes(this.layer)) this.layer = data.layers[0];
    this.unit = clamp(this.unit, 0, this.panelsOf(this.layer)[0].size - 1);
    this.time = clamp(this.time, 0, last);
    const changed = before ? data.labels.findIndex((label, t) => label !== before.labels[t]) : -1;
    this.leave();
    this.arrange(changed < 0 ? this.time : changed); // show what was typed, wherever the selection is
    this.announce();
    requestAnimationFrame(() => {
      window.__lstmvizPainted = { tokens: last + 1, at: performance.now(), draw: this.cost };
    });
  }

  arrange(time = this.time) { // lay out, bring a token and the selected unit into view, draw
    this.width = this.scroll.clientWidth;
    this.layout();
    this.spacer.style.width = `${this.gutter + this.data.tokens.length * this.column + RIGHT}px`;
    this.reveal(time);
    this.redraw();
  }

  layout() {
    this.narrow = this.width < 640; // names go, symbols stay
    this.gutter = this.left = this.narrow ? 92 : 162;
    super.layout();
  }

  redraw() {
    this.scrolled = this.scroll.scrollLeft;
    this.draw();
    this.describe();
  }

  reveal(time) {
    const x = time * this.column, view = this.width - this.gutter - RIGHT, left = this.scroll.scrollLeft;
    if (x < left) this.scroll.scrollLeft = x;
    if (x + this.column > left + view) this.scroll.scrollLeft = x + this.column - view;
    const place = this.placeOf(this.layer), row = this.rows().indexOf(this.unit);
    if (place) this.first[this.layer] = clamp(this.firstRow(place), row - place.rows + 1, row);
  }

  placeOf(layer) { return this.panels.find((place) => place.panel.layer === layer); }

  describe() { // the line over the map, and what the buttons can still do
    const { data } = this, count = data.tokens.length, place = this.placeOf(this.layer);
    const noun = data.level === "char" ? "character" : "word";
    const units = this.panelsOf(this.layer)[0].size, shown = this.rows().length;
    const parts = [`${count} ${noun}${count === 1 ? "" : "s"} × ${shown < units ? `${shown} of ` : ""}${units} units`];
    if (this.to - this.from < count) parts.push(`showing ${this.from}–${this.to - 1}`);
    if (place?.rows < this.rows().length) {
      const first = this.firstRow(place);
      parts.push(`rows ${first}–${first + place.rows - 1}`);
    }
    if (place?.pitch < 1) parts.push(`a line is the mean of ${this.pool(place.pitch)} units`);
    this.note.textContent = this.note.title = parts.join(" · ");
    this.narrower.disabled = this.column <= 2;
    this.wider.disabled = this.column >= 120;
    this.lower.disabled = this.zoomY <= 1;
    this.higher.disabled = !place || place.pitch >= 32 * this.dpr || place.rows <= 2;
    this.fit.disabled = this.zoomX === 1 && this.zoomY === 1;
  }

  // ---- for a picture to show: see present.js ----------------------------------------------------------------------

  spread() { return this.data.tokens.length * this.column; }
  stretch(height) { this.data = { ...this.data, height: Math.max(1, height) }; }
  own() { this.data = { ...this.data, panels: this.data.panels.map((panel) => ({ ...panel })) }; }
  sentenceShown() { return this.data; }
  headlines(width) {
    const { data, time } = this, last = data.tokens.length - 1, so = perplexity(data.running_nll[last]);
    const said = [data.title, `perplexity of this sentence ${so}`, `framed: ${data.labels[time]} (${time}), unit ${this.unit}`];
    this.setFont(14);
    return wrapped(this.paint, said.filter(Boolean).join(" · "), width - 2 * PAD, 3).map((line) => (y) =>
      this.text(line, PAD, y, { size: 14, align: "left", alpha: 0.8 }));
  }

  // ---- what a person does ------------------------------------------------------------------------------------------

  listen() {
    const { canvas, scroll } = this;
    let grip = null; // where a press began
    const asked = ({ detail }) => this.select(this.time, detail.unit, detail.layer); // by the readout
    const unfollow = follow(this);
    window.addEventListener("lstmviz:select", asked);
    this.unfollow = () => {
      unfollow();
      window.removeEventListener("lstmviz:select", asked);
    };
    scroll.addEventListener("scroll", () => {
      if (!this.data || scroll.scrollLeft === this.scrolled) return;
      this.leave();
      this.redraw();
    });
    canvas.addEventListener("pointerdown", (event) => {
      const place = this.placeAt(event.offsetY);
      const { clientX: x, clientY: y } = event;
      grip = { x, y, left: scroll.scrollLeft, place, first: place && this.firstRow(place), moved: false };
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!grip || !(event.buttons & 1)) return this.hover(event);
      const [dx, dy] = [event.clientX - grip.x, event.clientY - grip.y];
      if (!grip.moved && Math.hypot(dx, dy) < 5) return;
      grip.moved = true; // a drag moves the window over tokens and units
      this.leave();
      scroll.scrollLeft = grip.left - dx;
      if (grip.place) this.first[grip.place.panel.layer] = Math.round(grip.first - (dy * this.dpr) / grip.place.pitch);
      this.redraw();
    });
    canvas.addEventListener("pointerup", (event) => {
      const hit = this.at(event);
      if (grip && !grip.moved && hit?.time !== undefined) this.select(hit.time, hit.unit, hit.layer);
      grip = null;
    });
    canvas.addEventListener("pointercancel", () => { grip = null; });
    canvas.addEventListener("pointerleave", () => { grip = null; this.leave(); this.announce(); });
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      if (event.timeStamp - (this.wheeled ?? -1000) < 120) return; // a trackpad sends dozens of events a pinch
      this.wheeled = event.timeStamp;
      const factor = event.deltaY < 0 ? 2 : 0.5;
      this.zoom(event.shiftKey ? factor : 1, event.shiftKey ? 1 : factor, this.at(event));
    }, { passive: false });
    this.box.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (!this.data || event.target !== this.box || event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = this.rows(), row = rows.indexOf(this.unit), last = this.data.tokens.length - 1;
    const to = (time, next) => this.select(clamp(time, 0, last), rows[clamp(next, 0, rows.length - 1)]);
    const act = {
      ArrowLeft: () => to(this.time - 1, row), ArrowRight: () => to(this.time + 1, row),
      ArrowUp: () => to(this.time, row - 1), ArrowDown: () => to(this.time, row + 1),
      PageUp: () => to(this.time, row - 10), PageDown: () => to(this.time, row + 10),
      Home: () => to(0, row), End: () => to(last, row),
      "+": () => this.zoom(1, 2), "-": () => this.zoom(1, 0.5),
      ">": () => this.zoom(2, 1), "<": () => this.zoom(0.5, 1), "0": () => this.reset(),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  placeAt(y) { return this.panels.find((place) => y >= place.y && y < place.y + place.height); }

  // What lies under the pointer: a role's name, a token's column, or one unit of it.
  at({ offsetX, offsetY }) {
    const place = this.placeAt(offsetY);
    if (offsetX < this.gutter) return { role: place?.panel ?? this.roles[Math.floor((offsetY - this.rolesTop) / this.role)] };
    const time = Math.floor((offsetX - this.gutter - this.leanAt(offsetY, [0]) + this.scroll.scrollLeft) / this.column);
    const inside = offsetX < this.width - RIGHT || this.leanAt(offsetY, [0]) > 0;
    if (!inside || time < 0 || time >= this.data.tokens.length) return null;
    if (!place) return { time };
    const { panel, pitch, rows } = place, first = this.firstRow(place), pool = this.pool(pitch);
    const line = Math.floor(((offsetY - place.y) * this.dpr) / Math.max(1, pitch)), row = first + line * pool;
    const units = panel.units.slice(row, Math.min(row + pool, first + rows)); // a line is the mean of these
    if (!units.length) return { time };
    const unit = panel.layer === this.layer && units.includes(this.unit) ? this.unit : units[0];
    return { time, panel, row, unit, units, layer: panel.layer };
  }

  select(time, unit = this.unit, layer = this.layer) {
    Object.assign(this, { time, unit, layer });
    this.arrange();
    this.announce();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { // the server hears of it once the keys rest
      const selection = { time: this.time, unit: this.unit, layer: this.layer };
      this.sent = JSON.stringify(selection);
      this.send("selection", selection);
    }, 120);
  }

  reset() {
    this.zoomX = this.zoomY = 1;
    this.arrange();
  }

  // Zoom, keeping the selection (or the place under the pointer) where it is.
  zoom(byX, byY, about = null) {
    const layer = about?.layer ?? this.layer, place = this.placeOf(layer), time = about?.time ?? this.time;
    const row = about?.row ?? this.rows().indexOf(this.unit), x = this.x(time), natural = this.column / this.zoomX;
    const share = place ? (row - this.firstRow(place)) / place.rows : 0;
    this.zoomX = clamp(this.zoomX * byX, 2 / natural, 128 / natural);
    this.zoomY = place?.rows <= 2 && byY > 1 ? this.zoomY : Math.max(1, this.zoomY * byY);
    this.layout();
    this.spacer.style.width = `${this.gutter + this.data.tokens.length * this.column + RIGHT}px`;
    if (place) this.first[layer] = Math.round(row - share * this.placeOf(layer).rows);
    this.scroll.scrollLeft = time * this.column - (x - this.gutter);
    if (!about) this.reveal(this.time);
    this.redraw();
  }

  hover(event) {
    const hit = this.at(event);
    if (!hit || (hit.time === undefined && !hit.role)) {
      this.leave();
      return this.announce();
    }
    this.tip.replaceChildren(...(hit.role ? this.explain(hit.role) : this.tell(hit)));
    this.tip.style.display = "block";
    placeTip(this.tip, this.box, event);
    this.hoverColumn.style.display = hit.role ? "none" : "block";
    if (hit.role) return this.announce();
    const above = this.lean ? this.strip : 0; // slanted words are not over their column
    const sizes = { left: this.x(hit.time) - 1, width: this.column + 1, top: above, height: this.height - above };
    for (const [side, size] of Object.entries(sizes)) this.hoverColumn.style[side] = `${size}px`;
    this.announce(hit);
  }

  explain(role) { return [make("b", "", `${role.label} ${role.symbol}`), make("span", "", role.meaning)]; }

  tell({ time, unit, units, panel }) { // the tooltip of a token, or of one value
    const { data } = this, lines = [make("b", "", `“${data.labels[time]}” (${time})`)];
    const say = (text, name = "quiet") => lines.push(make("span", name, text));
    if (data.unknown[time]) say(`not in the vocabulary: the model reads ${data.tokens[time]}`);
    if (!missing(data.generated_from) && time >= data.generated_from) say("sampled from the model");
    if (panel) {
      say(`${named(units)} · ${panel.label} ${panel.symbol} = ${number(this.meanOf(panel, units, time), 3)}`, "");
      if (units.length > 1) say(`a click selects unit ${unit}`);
    }
    say(`loss ${number(data.nll[time])} nats · ${soFar(data.running_nll[time], this.unknownSoFar(time))}`);
    return lines;
  }

  // The share of <unk> in what was predicted up to this token.
  unknownSoFar(time) {
    const { nll, unknown } = this.data, predicted = unknown.slice(0, time + 1).filter((_, t) => !missing(nll[t]));
    return predicted.filter(Boolean).length / Math.max(1, predicted.length);
  }

  // The units that do most at a token, the most first: [[what, [{unit, by, symbol, …}, …]], …]. A gate opens or shuts by
  // how much it differs from the token before; what is held is kept, written and changes.
  find(time, layer) {
    const panels = this.panelsOf(layer), { size } = panels[0], first = time === 0 && this.data.begins;
    const gates = panels.filter(({ gate }) => gate);
    const memory = panels.find(({ does }) => does === "holds") ?? panels.find(({ role }) => role === "hidden");
    const turned = gates.flatMap((panel) =>
      Array.from({ length: size }, (_, unit) => this.value(panel, unit, time) - this.value(panel, unit, time - 1)));
    const [kept, written, changed] = [0, 0, 0].map(() => new Float64Array(size)), now = {}, before = {};
    for (let unit = 0; unit < size; unit++) {
      for (const panel of panels) {
        now[panel.role] = this.value(panel, unit, time);
        before[panel.role] = this.value(panel, unit, time - 1);
      }
      const held = heldOf(now), was = first ? 0 : heldOf(before);
      kept[unit] = first ? 0 : keptOf(now, before) * was;
      written[unit] = held - kept[unit];
      changed[unit] = held - was;
    }
    const chip = (unit, by, { symbol, light, dark }) => ({ unit, by, symbol, light, dark });
    const turns = (sign) => largest(turned, (by) => sign * by)
      .map((k) => chip(k % size, turned[k], gates[Math.floor(k / size)]));
    const moves = (values) => largest(values, Math.abs).map((unit) => chip(unit, values[unit], memory));
    const found = gates.length ? [["opens", turns(1)], ["shuts", turns(-1)]] : [];
    if (gates.some(({ does }) => does === "keeps")) found.push(["keeps", moves(kept)], ["writes", moves(written)]);
    return [...found, ["changes", moves(changed)]];
  }

  leave() { this.tip.style.display = this.hoverColumn.style.display = "none"; }

  // Tell the readout beside the map what is selected or hovered, and say it to whoever listens instead of looking.
  announce(hovered = null) {
    const { data } = this, { time = this.time, unit = this.unit, layer = this.layer } = hovered ?? {};
    const roles = this.panelsOf(layer).map((panel) => {
      const { codes, units, ...role } = panel; // the readout needs no planes
      return { ...role, value: this.value(panel, unit, time), previous: this.value(panel, unit, time - 1) };
    });
    window.__lstmviz = {
      time, unit, layer, roles, hovering: hovered !== null, mode: this.theme.mode, level: data.level,
      layers: data.layers.length, token: data.labels[time], reads: data.unknown[time] ? data.tokens[time] : null,
      begins: data.begins, lets_out: data.lets_out, resets: data.resets, annotation: this.annotation(unit, layer),
      nll: data.nll[time], running_nll: data.running_nll[time], unknown: this.unknownSoFar(time),
      next: {
        tokens: data.top.tokens[time].map(drawable), probabilities: data.top.probabilities[time],
        typed: data.top.tokens[time].map((token) => token in data.top.typed ? data.top.typed[token] : token),
      },
      found: this.find(time, layer),
    };
    window.dispatchEvent(new CustomEvent("lstmviz:readout", { detail: window.__lstmviz }));
    if (hovered) return;
    const values = roles.map((role) => `${role.label} ${number(role.value)}`).join(", ");
    const losses = `loss ${number(data.nll[time])}, perplexity ${perplexity(data.running_nll[time])}`;
    const text = `Token ${data.labels[time]} at ${time} of 0 to ${data.tokens.length - 1}; unit ${unit}: ${values}; ${losses}`;
    clearTimeout(this.speech);
    this.speech = setTimeout(() => { this.spoken.textContent = text; }, 300); // not every key of a held arrow
  }
}

// Places of the few largest, the largest first; what is too small to be seen is not among them.
function largest(values, size, count = 4) {
  const best = [];
  values.forEach((value, k) => {
    if (!(size(value) >= 0.005) || (best.length === count && size(value) <= size(values[best.at(-1)]))) return;
    const place = best.findIndex((other) => size(values[other]) < size(value));
    best.splice(place < 0 ? best.length : place, 0, k);
    best.length = Math.min(best.length, count);
  });
  return best;
}

const maps = new WeakMap(); // one a mount: Streamlit calls the function below for every message and theme

export default function ({ parentElement, data, setStateValue }) {
  if (!maps.has(parentElement)) maps.set(parentElement, new GateMap(parentElement));
  if (data) maps.get(parentElement).receive(data, setStateValue);
  return whenGone(parentElement, () => { // and with it goes what the readout shows
    maps.get(parentElement)?.unfollow();
    maps.delete(parentElement);
    window.__lstmviz = window.__lstmvizPainted = null;
    window.dispatchEvent(new CustomEvent("lstmviz:readout"));
  });
}
