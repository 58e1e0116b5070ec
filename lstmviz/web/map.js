// The gate map as a thing on the page: it takes the server's messages, and answers pointer and keys without the server.

import { tell } from "./address.js";
import { button, make, noteLines, placeTip, writeNotes } from "./dom.js";
import { follow } from "./follow.js";
import { Here } from "./here.js";
import { mostAt } from "./most.js";
import { refused } from "./needs.js";
import { annotationOf, drawMap, layerAt, mapAt, mapView, panelsOf, placeAt, rowsFrom } from "./paint/map.js";
import { readTheme, resize, setFont, write } from "./paint/pen.js";
import { linkButton, PAD, pictureButton, wrapped } from "./present.js";
import { answered, looksAt } from "./say.js";
import { Selection, step, ZOOMS } from "./select.js";
import { painted, see, unpainted, whenAsked } from "./shared.js";
import { hold, whenGone, whileHere } from "./streamlit.js";
import { families, shareOf } from "./tree.js";
import { along, clamp, pool, revealed, RIGHT, scrolledIn, scrolledTo, scrolls, x, zoomed } from "./view.js";
import { decode, meanOf, stepBefore, valueOf } from "./wire.js";
import { called, drawable, inline, missing, named, number, perplexity, soFar } from "./words.js";

export class GateMap {
  constructor(root) {
    this.address = whileHere()(tell); // says what the view is
    this.held = new Map(); // blocks of values by name
    this.reported = null; // what the server was told last
    this.selection = new Selection((at) => this.send("selection", at)); // {time, unit, layer}
    this.zoom = [1, 1]; // of columns and of rows
    this.first = {}; // layer -> first visible row, where a panel is zoomed
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("aria-hidden", "true"); // what it shows is spoken by the box around it
    this.paint = this.canvas.getContext("2d", { alpha: false });
    this.box = root.appendChild(make("div", "map"));
    this.box.map = this; // for tests, and for the curious
    this.box.tabIndex = 0;
    this.box.setAttribute("role", "application");
    this.box.setAttribute("aria-label", "Gate map. Left and right choose a token, up and down a unit, + and - zoom.");
    this.notes = noteLines();
    this.note = make("span", "note");
    this.narrower = button("−", "narrower columns", () => this.zoomBy(0.5, 1));
    this.wider = button("+", "wider columns", () => this.zoomBy(2, 1));
    this.lower = button("−", "lower rows", () => this.zoomBy(1, 0.5));
    this.higher = button("+", "higher rows", () => this.zoomBy(1, 2));
    this.fit = button("fit", "fit the map to the page", () => this.zoomBy(0, 0));
    this.link = linkButton();
    this.stop = button("stop", "let the model write no more (Esc)", () => this.onstop());
    this.stop.hidden = true;
    const columns = make("span", "group", "columns", [this.narrower, this.wider]);
    const heights = make("span", "group", "rows", [this.lower, this.higher]);
    this.hoverColumn = make("div", "hover");
    this.spacer = make("div", "spacer"); // as wide as all columns, so that there is something to scroll
    this.scroll = make("div", "scroll", "", [make("div", "stage", "", [this.canvas, this.hoverColumn]), this.spacer]);
    this.tip = make("div", "tip");
    this.spoken = make("div", "spoken");
    this.spoken.setAttribute("aria-live", "polite");
    const bar = make("div", "bar", "", [this.note, this.stop, columns, heights, this.fit, this.link, pictureButton(this, "gates.png")]);
    this.box.append(this.notes, bar, this.scroll, this.tip, this.spoken);
    this.listen();
  }

  // A message of the server's, after its frame; it may leave out what this page holds already.
  receive(frame, message, send) {
    this.address(frame.address);
    this.link.hidden = !Object.keys(frame.address).length; // where it tells nothing of what is shown
    const data = message.length ? decode(message, this.held) : null;
    if (!message.length) this.selection.forget();
    if (data) this.selection.hear(data.selection, data.tokens.length - 1, this.data && this.data.tokens.length - 1);
    if (data || !message.length) this.show(frame, data, send);
    else writeNotes(this.notes, frame.notes);
    if (message.length) hold(this, [data], send);
  }

  // What is said over the map, then the map as `decode` gives it. Without a text there is none (null), and its place waits.
  show({ notes, height, here }, data, send) {
    writeNotes(this.notes, notes);
    this.holds = Boolean(here?.holds);
    this.box.classList.toggle("empty", !data);
    if (!data) return this.clear();
    // An unknown token is drawn as it was typed; dashes below it and the tooltip say what the model reads instead.
    data.labels = data.tokens.map((token, t) => drawable((data.unknown[t] && data.typed[t]) || token));
    data.height = height;
    this.update(data, send);
  }

  clear() { // and with it goes what the readout shows
    clearTimeout(this.speech);
    this.data = this.view = null;
    painted(0, 0);
    see(null);
  }

  update(data, send) { // new data or a new theme
    const last = data.tokens.length - 1, before = this.data, { selection } = this;
    Object.assign(this, { data, send, theme: readTheme(this.box) });
    if (!data.layers.includes(selection.at.layer)) selection.keep({ layer: data.layers[0] });
    const { unit, layer } = selection.at, time = selection.at.time < 0 ? last : Math.min(selection.at.time, last);
    selection.keep({ time, layer: layerAt(data, layer, time), unit: clamp(unit, 0, panelsOf(data, layer)[0].size - 1) });
    const changed = before ? data.labels.findIndex((label, t) => label !== before.labels[t]) : -1;
    this.leave();
    this.arrange(changed < 0 ? selection.at.time : changed); // show what was typed, wherever the selection is
    this.announce();
    painted(last + 1, this.cost);
  }

  arrange(time = this.selection.at.time) { // lay out, bring a token and the selected unit into view, draw
    this.width ||= this.scroll.clientWidth; // until it changes: see follow.js
    this.layOut();
    this.reveal(time);
    this.redraw();
  }

  layOut() {
    const { width, zoom, first } = this, dpr = window.devicePixelRatio || 1;
    const here = { width, window: window.innerHeight, dpr, zoom, first, ...this.selection.at };
    this.view = mapView(this.paint, this.data, this.theme, here);
    this.spacer.style.width = `${this.view.left + along(this.view, this.data.tokens.length) + RIGHT}px`;
  }

  redraw() {
    const { paint, data, theme } = this, start = performance.now();
    const { length } = data.tokens;
    this.view = scrolledTo(rowsFrom(this.first, this.view), length, scrolledIn(this.scroll, this.view, length));
    resize(this.canvas, this.view);
    if (this.view.right - this.view.left >= 20) { // else it is not on screen yet; the resize will draw
      this.beyond = drawMap(paint, this.view, data, theme); // for tests, and for the curious
      this.cost = performance.now() - start;
    }
    this.describe();
  }

  reveal(time) {
    const { scroll, view } = this, { layer, unit } = this.selection.at, place = this.placeOf(layer);
    if (scrolls(view, this.data.tokens.length)) scroll.scrollLeft = revealed(view, time, scroll.scrollLeft);
    if (!place) return;
    const row = place.units.indexOf(unit);
    this.first[layer] = clamp(place.first, row - place.rows + 1, row);
  }

  placeOf(layer) { return this.view.panels.find((place) => place.panel.layer === layer); }

  describe() { // the line over the map, and what the buttons can still do
    const { data, view, zoom } = this, { layer } = view, columns = data.tokens.length, count = columns - (data.begun ? 1 : 0), place = this.placeOf(layer);
    const units = panelsOf(data, layer)[0].size, shown = view.units.get(layer).length;
    const parts = [`${count} ${data.noun}${count === 1 ? "" : "s"} × ${shown < units ? `${shown} of ` : ""}${units} units`];
    if (view.to - view.from < columns) parts.push(`showing ${view.from}–${view.to - 1}`);
    if (place?.rows < shown) parts.push(`rows ${place.first}–${place.first + place.rows - 1}`);
    if (place?.pitch < 1) parts.push(`a line is the mean of ${pool(place.pitch)} units`);
    this.note.textContent = this.note.title = parts.join(" · ");
    this.narrower.disabled = view.column <= 2;
    this.wider.disabled = view.column >= 120;
    this.lower.disabled = zoom[1] <= 1;
    this.higher.disabled = !place || place.pitch >= 32 * view.dpr || place.rows <= 2;
    this.fit.disabled = zoom[0] === 1 && zoom[1] === 1;
  }

  // ---- for a picture to show: see present.js ----------------------------------------------------------------------

  words() { return this.data; }
  lay(paint, theme, { width, dpr, zoom, height }) {
    const data = height === undefined ? this.data : { ...this.data, height: Math.max(1, height) };
    const here = { width, window: window.innerHeight, dpr, zoom: [zoom, 1], first: {}, ...this.selection.at };
    return scrolledTo(mapView(paint, data, theme, here), data.tokens.length, 0);
  }
  drawOn(paint, view, theme) { drawMap(paint, view, this.data, theme); }
  headlines(paint, view, theme, width) {
    const { data } = this, { time, unit } = view, last = data.tokens.length - 1;
    const good = data.answer ? answered(data, last) : `perplexity of this sentence ${perplexity(data.running_nll[last])}`;
    const said = [data.title, good, `framed: ${called(data, time)}, unit ${unit}`];
    setFont(paint, 14, "", theme.font);
    return wrapped(paint, said.filter(Boolean).join(" · "), width - 2 * PAD, 3).map((line) => (on, y) =>
      write(on, theme, line, PAD, y, { size: 14, align: "left", alpha: 0.8 }));
  }

  // ---- what a person does ------------------------------------------------------------------------------------------

  listen() {
    const { canvas, scroll } = this;
    let grip = null; // where a press began
    const unfollow = [follow(this), whenAsked((unit) => this.select(unit))]; // by the readout
    this.unfollow = () => unfollow.forEach((leave) => leave());
    scroll.addEventListener("scroll", () => {
      if (!this.data || scroll.scrollLeft === this.view.scrolled) return;
      this.leave();
      this.redraw();
    });
    canvas.addEventListener("pointerdown", (event) => {
      const place = placeAt(this.view, event.offsetX, event.offsetY), { clientX, clientY } = event;
      grip = { clientX, clientY, left: scroll.scrollLeft, place, moved: false };
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!grip || !(event.buttons & 1)) return this.hover(event);
      const [dx, dy] = [event.clientX - grip.clientX, event.clientY - grip.clientY], { place } = grip;
      if (!grip.moved && Math.hypot(dx, dy) < 5) return;
      grip.moved = true; // a drag moves the window over tokens and units
      this.leave();
      scroll.scrollLeft = grip.left - dx;
      if (place) this.first[place.panel.layer] = Math.round(place.first - (dy * this.view.dpr) / place.pitch);
      this.redraw();
    });
    canvas.addEventListener("pointerup", (event) => {
      const hit = this.at(event);
      if (grip && !grip.moved && hit?.time !== undefined) this.select(hit);
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
      this.zoomBy(event.shiftKey ? factor : 1, event.shiftKey ? 1 : factor, this.at(event));
    }, { passive: false });
    this.box.addEventListener("keydown", (event) => {
      if (!this.data || event.target !== this.box || event.ctrlKey || event.metaKey || event.altKey) return;
      const { at } = this.selection, last = this.data.tokens.length - 1;
      const next = step(event.key, at, last, this.view.units.get(at.layer)), zoom = ZOOMS[event.key];
      if (!next && !zoom) return;
      event.preventDefault();
      if (next) this.select(next);
      else this.zoomBy(...zoom);
    });
  }

  at({ offsetX, offsetY }) { return mapAt(this.view, this.data, offsetX, offsetY); }

  select({ time, unit, layer }) { // what is not named stays
    const { at } = this.selection, to = time ?? at.time;
    this.selection.choose({ time: to, unit: unit ?? at.unit, layer: layerAt(this.data, layer ?? at.layer, to) });
    this.arrange();
    this.announce();
  }

  // Zoom columns and rows, keeping the selection (or the place under the pointer) where it is; by 0, as at first.
  zoomBy(byX, byY, about = null) {
    if (!byX) {
      this.zoom = [1, 1];
      return this.arrange();
    }
    const { at } = this.selection, layer = about?.layer ?? at.layer, time = about?.time ?? at.time, place = this.placeOf(layer);
    const row = about?.row ?? this.view.units.get(at.layer).indexOf(at.unit), left = x(this.view, time);
    const share = place ? (row - place.first) / place.rows : 0, [across, down] = this.zoom;
    this.zoom = [zoomed(across, byX, this.view.column, 2), place?.rows <= 2 && byY > 1 ? down : Math.max(1, down * byY)];
    this.layOut();
    if (place) this.first[layer] = Math.round(row - share * this.placeOf(layer).rows);
    this.view = rowsFrom(this.first, this.view);
    this.scroll.scrollLeft = along(this.view, time) - (left - this.view.left);
    if (!about) this.reveal(at.time);
    this.redraw();
  }

  hover(event) {
    const hit = this.at(event), { view } = this;
    if (!hit || (hit.time === undefined && !hit.role)) {
      this.leave();
      return this.announce();
    }
    this.tip.replaceChildren(...(hit.role ? this.explain(hit.role) : this.tell(hit)));
    this.tip.style.display = "block";
    placeTip(this.tip, this.box, event);
    this.hoverColumn.style.display = hit.role ? "none" : "block";
    if (hit.role) return this.announce();
    const above = view.head + (view.lean ? view.strip : 0); // slanted words are not over their column
    const sizes = { left: x(view, hit.time) - 1, width: view.column + 1, top: above, height: view.height - above };
    for (const [side, size] of Object.entries(sizes)) this.hoverColumn.style[side] = `${size}px`;
    this.announce(hit);
  }

  explain(role) { return [make("b", "", `${role.label} ${role.symbol}`), make("span", "", role.meaning)]; }

  tell({ time, unit, units, panel, source }) { // the tooltip of a token, or of one value
    const { data } = this, lines = [make("b", "", called(data, time))];
    const line = (text, name = "quiet") => lines.push(make("span", name, text));
    if (data.unknown[time]) line(`not in the vocabulary: the model reads ${data.tokens[time]}`);
    if (!missing(data.generated_from) && time >= data.generated_from) line("sampled from the model");
    if (panel) {
      line(`${named(units)} · ${panel.label} ${panel.symbol} = ${number(meanOf(panel, units, time), 3)}`, "");
      if (units.length > 1) line(`a click selects unit ${unit}`);
    }
    const parent = data.parents[time];
    if (!panel && parent >= 0) line(`of what it holds, “${data.labels[parent]}” keeps ${number(shareOf(panelsOf(data, this.view.layer), time))}`);
    if (data.beside) line(`${data.beside.name}: loss ${number(data.beside.nll[time])} nats`);
    if (data.attention && time >= data.said_from) line(looksAt(data, time, source), "");
    line(data.answer ? answered(data, time) : `loss ${number(data.nll[time])} nats · ${soFar(data.running_nll[time], this.unknownSoFar(time))}`);
    return lines;
  }

  // What is laid over the loss makes of a token: its losses, and what of the tokens up to it was counted.
  besideAt(time) {
    const { beside, tokens, level } = this.data;
    if (!beside) return null;
    const text = (from, to) => tokens.slice(from, to).join(level === "char" ? "" : " ");
    const [context, run] = [beside.context[time], beside.run[time]];
    return {
      name: beside.name, nll: beside.nll[time], running_nll: beside.running_nll[time],
      context: text(time - context, time), context_times: beside.context_times[time], whole: run > context, longer: run > 1,
      run: text(time + 1 - run, time + 1), run_times: beside.run_times[time],
    };
  }

  // Of a node of a tree its children, with their values, and its parent.
  kinAt(time, unit, panels) {
    const { parents, labels } = this.data;
    if (!parents.length) return {};
    const values = (t) => Object.fromEntries(panels.map((panel) => [panel.role, valueOf(panel, unit, t)]));
    const children = families(parents)[time].map((t) => ({ label: labels[t], values: values(t) }));
    return { children, parent: parents[time] < 0 ? null : labels[parents[time]] };
  }

  // The share of <unk> in what was predicted up to this token.
  unknownSoFar(time) {
    const { nll, unknown } = this.data, predicted = unknown.slice(0, time + 1).filter((_, t) => !missing(nll[t]));
    return predicted.filter(Boolean).length / Math.max(1, predicted.length);
  }

  leave() { this.tip.style.display = this.hoverColumn.style.display = "none"; }

  // Tell the readout beside the map what is selected or hovered, and say it to whoever listens instead of looking.
  announce(hovered = null) {
    const { data } = this, { time, unit, layer: near } = { ...this.selection.at, ...hovered };
    const layer = layerAt(data, near, time), panels = panelsOf(data, layer);
    const roles = panels.map((panel) => {
      const { codes, ...role } = panel; // the readout needs no planes
      return { ...role, value: valueOf(panel, unit, time), previous: valueOf(panel, unit, stepBefore(panel, time)) };
    });
    see({
      time, unit, layer, roles, holds: this.holds, hovering: hovered !== null, mode: this.theme.mode, level: data.level,
      column: data.column, asks: data.asks, called: called(data, time), answer: data.answer && answered(data, time), looks: looksAt(data, time),
      right: data.answer?.known ? data.answer.labels[time] : null,
      layer_label: data.layers.length > 1 ? panels[0].layer_label : "", reverse: panels[0].reverse, token: data.labels[time], reads: data.unknown[time] ? data.tokens[time] : null,
      annotation: annotationOf(data, unit, layer),
      begins: data.begins, begun: data.begun?.label ?? null, depends: data.begun?.depends[time] ?? null, symbols: data.symbols, does: data.does, lets_out: data.lets_out, resets: data.resets,
      nll: data.nll[time], running_nll: data.running_nll[time], unknown: this.unknownSoFar(time),
      next: {
        tokens: data.top.tokens[time].map(drawable), probabilities: data.top.probabilities[time],
        typed: data.top.tokens[time].map((token) => Object.hasOwn(data.top.typed, token) ? data.top.typed[token] : token),
      },
      ...this.kinAt(time, unit, panels), beside: this.besideAt(time),
      get found() { return mostAt(panels, time, data); }, // all units are looked at, which the map need not wait for
    });
    if (hovered) return;
    const values = roles.map((role) => `${role.label} ${number(role.value)}`).join(", ");
    const made = data.answer ? answered(data, time) :
      `loss ${number(data.nll[time])}, perplexity ${perplexity(data.running_nll[time])}`;
    const text = `${data.column} ${inline(data.labels[time])} at ${time} of 0 to ${data.tokens.length - 1}; unit ${unit}: ${values}; ${made}`;
    clearTimeout(this.speech);
    this.speech = setTimeout(() => { this.spoken.textContent = text; }, 300); // not every key of a held arrow
  }
}

const hosts = new WeakMap(); // one a mount: Streamlit calls the function below for every message and theme

export default function gateMap({ parentElement, data, setStateValue }) {
  if (refused(parentElement)) return;
  if (!hosts.has(parentElement)) hosts.set(parentElement, new Here(new GateMap(parentElement)));
  if (data) hosts.get(parentElement).receive(data, setStateValue);
  return whenGone(parentElement, () => { // and with it goes what the readout shows
    hosts.get(parentElement)?.end();
    hosts.delete(parentElement);
    unpainted();
    see(null);
  });
}
