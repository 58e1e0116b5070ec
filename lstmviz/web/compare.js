// Several models reading one sentence, as a thing on the page: what differs between them, the picture (see
// paint/comparison.js), and what each model expects next.

import { DASHES, LEVELS, NAN } from "./constants.js";
import { tell } from "./address.js";
import { afterFrame, button, make, noteLines, placeTip, writeNotes } from "./dom.js";
import { follow } from "./follow.js";
import { refused } from "./needs.js";
import {
  BETWEEN, blockLeft, blockView, comparisonAt, comparisonView, drawComparison, isChosen, LEFT, TITLE,
} from "./paint/comparison.js";
import { readTheme, resize, setFont, write } from "./paint/pen.js";
import { linkButton, PAD, pictureButton } from "./present.js";
import { Selection, step, ZOOMS } from "./select.js";
import { painted, unpainted } from "./shared.js";
import { hold, whenGone, whileHere } from "./streamlit.js";
import { messagesOf, Together } from "./together.js";
import { clamp, revealed, RIGHT, scrolledIn, scrolledTo, scrolls, x, zoomed } from "./view.js";
import { decode, meanOf, valueOf } from "./wire.js";
import { called, drawable, inline, missing, named, number, shortLabel, signed } from "./words.js";

const FACTS = 3; // rows of what differs, until more are asked for

const figure = ({ low }, value) => (low < 0 && !missing(value) ? signed(value) : number(value)); // of a chart

// ---- the models on one axis ------------------------------------------------------------------------------------------

// A model's values on the axis that all share; where none of its tokens stands, there is no value.
function onAxis(data, at) {
  for (const panel of data.panels) {
    const { size } = panel, codes = new Uint16Array(at.length * size).fill(NAN);
    at.forEach((t, a) => { if (t >= 0) codes.set(panel.codes.subarray(t * size, (t + 1) * size), a * size); });
    panel.codes = codes;
  }
  return data;
}

// Every panel of a model whose units are those of the reference becomes what it has more than the reference.
function subtract(models, reference) {
  for (const model of models) {
    if (model === reference || model.kin !== reference.kin) continue;
    model.subtracted = true;
    model.data.panels = model.data.panels.map((panel) => {
      const other = reference.data.panels.find(({ role }) => role === panel.role);
      return other ? difference(panel, other) : panel;
    });
  }
}

function difference(panel, other) {
  const high = Math.max(panel.high, other.high) - Math.min(panel.low, other.low, 0); // no difference is larger
  const codes = new Uint16Array(panel.codes.length), value = ({ low, high }, code) => low + (code / LEVELS) * (high - low);
  for (let i = 0; i < codes.length; i++) {
    const [a, b] = [other.codes[i], panel.codes[i]], more = value(panel, b) - value(other, a);
    codes[i] = a === NAN || b === NAN ? NAN : clamp(Math.round((LEVELS / 2) * (1 + more / high)), 0, LEVELS);
  }
  return { ...panel, codes, low: -high, high, limit: panel.limit, signed: true, difference: true };
}

// ---- on the page -----------------------------------------------------------------------------------------------------

export class Comparison {
  constructor(root) {
    this.address = whileHere()(tell);
    this.held = new Map(); // blocks of values by name
    this.reported = null; // what the server was told last
    this.selection = new Selection((at) => { // {time, unit, model}
      const { words, models } = this.compared;
      this.send("selection", at);
      this.spoken.textContent = `${this.compared.header.column} ${inline(words.labels[at.time])} at ${at.time}; unit ${at.unit} of ${models[at.model].title}`;
    });
    this.zoom = 1; // of the columns
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("aria-hidden", "true"); // what it shows is spoken by the box around it
    this.paint = this.canvas.getContext("2d", { alpha: false });
    this.box = root.appendChild(make("div", "map compared"));
    this.box.map = this; // for tests, and for the curious
    this.box.tabIndex = 0;
    this.box.setAttribute("role", "application");
    this.box.setAttribute(
      "aria-label", "Models side by side. Left and right choose a token, up and down a unit, 1 to 6 a model.",
    );
    this.notes = noteLines();
    this.facts = make("div", "facts");
    this.same = make("div", "same");
    this.note = make("span", "note");
    this.narrower = button("−", "narrower columns", () => this.zoomBy(0.5));
    this.wider = button("+", "wider columns", () => this.zoomBy(2));
    this.fit = button("fit", "fit the columns to the page", () => this.zoomBy(0));
    const columns = make("span", "group", "columns", [this.narrower, this.wider]);
    this.hovers = []; // one a block of columns
    this.stage = make("div", "stage", "", [this.canvas]);
    this.spacer = make("div", "spacer");
    this.scroll = make("div", "scroll", "", [this.stage, this.spacer]);
    this.ahead = make("div", "facts ahead");
    this.lookAhead = afterFrame((time) => { if (this.compared) this.writeAhead(time); }); // the picture goes first
    this.tip = make("div", "tip");
    this.spoken = make("div", "spoken");
    this.spoken.setAttribute("aria-live", "polite");
    const bar = make("div", "bar", "", [this.note, columns, this.fit, linkButton(), pictureButton(this, "compare.png")]);
    this.box.append(this.notes, this.facts, this.same, bar, this.scroll, this.ahead, this.tip, this.spoken);
    this.listen();
  }

  // A header of the server's, and a gate map's message a model; without a text there are none, and the place waits.
  receive(header, message, send) {
    this.address(header.address);
    if (!header.labels) {
      this.selection.forget();
      return this.show(header, null, send);
    }
    const parts = messagesOf(header, message).map((part) => decode(part, this.held)), before = this.compared?.words.labels;
    this.selection.hear(header.selection, header.labels.length - 1, before && before.length - 1);
    if (parts.every(Boolean)) this.show(header, parts, send);
    else writeNotes(this.notes, header.notes);
    hold(this, parts, send);
  }

  // The comparison, with the data of each model as `decode` gives it; null where nothing was read.
  show(header, parts, send) {
    writeNotes(this.notes, header.notes);
    this.box.classList.toggle("empty", !parts);
    if (parts) this.update(header, parts, send);
    else this.clear();
  }

  clear() {
    this.compared = this.view = null;
    painted(0, 0);
  }

  update(header, parts, send) {
    const before = this.compared?.words.labels, labels = header.labels.map(drawable), last = labels.length - 1;
    const models = header.models.map((model, k) => Object.assign(model, { number: k, data: onAxis(parts[k], model.at) }));
    if (header.difference) subtract(models, models[header.reference]);
    const { level, unknown, image, headline, parents } = header, words = { labels, level, unknown, image, headline, parents };
    Object.assign(this, { compared: { header, words, models }, send, theme: readTheme(this.box) });
    const { time, model } = this.selection.at;
    this.selection.keep({ time: time < 0 ? last : Math.min(time, last), model: clamp(model, 0, models.length - 1) });
    const changed = before ? labels.findIndex((label, t) => label !== before[t]) : -1;
    if (changed >= 0 || before?.length !== labels.length) this.leave();
    this.arrange(changed < 0 ? this.selection.at.time : changed);
    painted(last + 1, this.cost);
  }

  // ---- the tables around the picture ---------------------------------------------------------------------------------

  // A column a model, over and under its maps; where models are stacked, a row a model.
  tabulate(element, titles, rows) {
    const { models } = this.compared, { stacked } = this.view, what = (label) => make("span", "what", label);
    element.classList.toggle("stacked", stacked);
    if (stacked) {
      element.replaceChildren(...models.map((_, k) => make("div", "model", "", [titles[k], ...rows.map(([label, cells]) =>
        make("span", "pair", "", [what(label), cells[k]]))])));
      return;
    }
    element.style.gridTemplateColumns =
      `${LEFT - BETWEEN}px repeat(${models.length}, minmax(0, 1fr)) ${RIGHT - BETWEEN}px`;
    element.style.columnGap = `${BETWEEN}px`;
    const lines = element === this.facts ? [["", titles], ...rows] : rows; // the maps' own titles stand over the others
    element.replaceChildren(...lines.flatMap(([label, cells]) => [what(label), ...cells, make("span", "")]));
  }

  title(model, children = []) { // how its lines look, and its name
    const mark = make("canvas", "mark"), name = make("span", "name", model.title.replace(/[_/]/g, "$&\u200b")); // breaks there
    name.title = model.name;
    Object.assign(mark, { width: 44, height: 8 });
    const pen = mark.getContext("2d");
    Object.assign(pen, { strokeStyle: model[this.theme.mode], lineWidth: 5 });
    pen.setLineDash(DASHES[model.number].map((length) => 2 * length));
    pen.moveTo(0, 4);
    pen.lineTo(44, 4);
    pen.stroke();
    return make("span", "title", "", [mark, name, ...children]);
  }

  writeFacts() { // what differs is listed first
    const { header, models } = this.compared;
    const key = JSON.stringify([header.facts, header.same, header.reference, this.theme.mode, this.view.stacked]);
    if (key === this.written) return;
    this.written = key;
    const titles = models.map((model) => {
      const pinned = model.number === header.reference;
      const pin = button(pinned ? "reference" : "pin", pinned ? "the others are compared with this one" :
        "make this the reference that the others are compared with", () => this.send("pinned", model.id));
      pin.className = pinned ? "pin pinned" : "pin";
      return this.title(model, [pin]);
    });
    const rows = this.shownFacts().map(([label, values, differs]) =>
      [label, values.map((value) => Object.assign(make("span", differs ? "" : "equal", value), { title: value }))]);
    if (this.computing)
      rows.push(["equations", models.map(({ equations, remark }) =>
        make("div", "equations", "", [make("pre", "", equations), make("p", "", remark)]))]);
    this.tabulate(this.facts, titles, rows);
    const toggle = (text, label, name) => button(text, label, () => {
      this[name] = !this[name];
      this.written = null;
      this.writeFacts();
    });
    const more = header.facts.length - FACTS, buttons = [];
    if (more > 0) buttons.push(toggle(this.unfolded ? "fewer" : `${more} more`, "what else differs", "unfolded"));
    buttons.push(toggle(this.computing ? "no equations" : "equations", "what each cell computes", "computing"));
    this.same.replaceChildren(...buttons, header.same);
  }

  shownFacts() {
    const { facts } = this.compared.header;
    return this.unfolded ? facts : facts.slice(0, FACTS);
  }

  writeAhead(time) { // what each model made of a token, and what it expects after it
    const rows = [], { header, models } = this.compared, { unit, model: selected } = this.selection.at;
    const line = (label, value) => rows.push([label, models.map(value)]);
    for (const chart of header.charts) {
      line(chart.title, (model) => make("span", "figure", figure(chart, chart.lines[model.number][time])));
      const told = number(chart.beside[time]);
      if (chart.beside.length) line(header.beside, ({ beside }) => make("span", "quiet", beside ? told : "has another vocabulary"));
    }
    line(`unit ${unit}`, ({ data, number: k }) => {
      if (!isChosen(models, k, selected)) return make("span", "quiet", "has other units");
      const values = data.panels.filter((panel) => panel.slot).map((panel) =>
        make("span", "likely", "", [make("i", "", panel.symbol), ` ${number(valueOf(panel, unit, time))}`]));
      return make("span", "", "", values);
    });
    line(header.asks.startsWith("next") ? "expects next" : "says", (model) => {
      const t = model.at[time], { top } = model.data;
      if (t < 0) return make("span", "quiet", "reads nothing here");
      if (!top.tokens[t].length) return make("span", "quiet", "only reads here");
      const likely = top.tokens[t].slice(0, 3).map((token, k) =>
        make("span", "likely", "", [make("b", "", drawable(token)), ` ${number(top.probabilities[t][k])}`]));
      return make("span", "", "", likely);
    });
    this.tabulate(this.ahead, this.view.stacked ? models.map((model) => this.title(model)) : [], rows);
  }

  // ---- where things are ----------------------------------------------------------------------------------------------

  arrange(time = this.selection.at.time) {
    const { scroll } = this;
    this.width ||= scroll.clientWidth; // until it changes: see follow.js
    const here = { width: this.width, dpr: window.devicePixelRatio || 1, zoom: this.zoom, ...this.selection.at };
    this.view = comparisonView(this.paint, this.compared, this.theme, { ...here, height: this.compared.header.height });
    const { column, left, right } = this.view, { length } = this.compared.words.labels;
    this.writeFacts();
    this.spacer.style.width = `${length * column + this.width - (right - left)}px`;
    if (scrolls(this.view, length)) scroll.scrollLeft = revealed(this.view, time, scroll.scrollLeft);
    this.redraw();
  }

  redraw() {
    const { paint, compared, theme } = this, { header, words } = compared, { length } = words.labels, start = performance.now();
    const view = this.view = scrolledTo(this.view, length, scrolledIn(this.scroll, this.view, length));
    resize(this.canvas, view);
    while (this.hovers.length < compared.models.length + 1) this.hovers.push(this.stage.appendChild(make("div", "hover")));
    if (view.right - view.left >= 60) { // else it is not on screen yet; the resize will draw
      drawComparison(paint, view, compared, theme);
      this.cost = performance.now() - start;
    }
    this.lookAhead(view.time);
    const parts = [`${header.count} ${header.noun}${header.count === 1 ? "" : "s"}`];
    if (view.to - view.from < words.labels.length) parts.push(`showing ${view.from}–${view.to - 1}`);
    this.note.textContent = this.note.title = [...parts, header.note].filter(Boolean).join(" · ");
    this.narrower.disabled = view.column <= 3;
    this.wider.disabled = view.column >= 120;
    this.fit.disabled = this.zoom === 1;
  }

  // ---- for a picture to show: see present.js -------------------------------------------------------------------------

  words() { return this.compared.words; }
  lay(paint, theme, { width, dpr, zoom, height = this.compared.header.height }) {
    const view = comparisonView(paint, this.compared, theme, { width, dpr, zoom, height, ...this.selection.at });
    return scrolledTo(view, this.compared.words.labels.length, 0);
  }
  drawOn(paint, view, theme) { drawComparison(paint, view, this.compared, theme); }
  headlines(_, view, theme) { // the table of models, in the columns of their maps; where these are stacked a line for each
    const quiet = { size: 12, alpha: 0.65 }, { models } = this.compared, facts = this.shownFacts();
    const title = (paint, model, left, y) =>
      write(paint, theme, model.title, left, y, { size: 14, weight: 700, align: "left", colour: model[theme.mode] });
    if (view.stacked) return models.map((model, k) => (paint, y) => {
      title(paint, model, PAD, y);
      const said = facts.map(([label, values]) => `${label} ${values[k]}`).join(" · ");
      write(paint, theme, said, PAD + paint.measureText(model.title).width + 12, y, { ...quiet, align: "left" });
    });
    return [
      (paint, y) => models.forEach((model, k) => title(paint, model, blockLeft(view, k), y)),
      ...facts.map(([label, values]) => (paint, y) => {
        write(paint, theme, label, LEFT - 12, y, quiet);
        values.forEach((value, k) => write(paint, theme, value, blockLeft(view, k), y, { size: 13, align: "left" }));
      }),
    ];
  }

  // ---- what a person does --------------------------------------------------------------------------------------------

  listen() {
    const { canvas, scroll } = this;
    this.unfollow = follow(this);
    scroll.addEventListener("scroll", () => {
      if (!this.compared || scroll.scrollLeft === this.view.scrolled) return;
      this.leave();
      this.redraw();
    });
    canvas.addEventListener("pointermove", (event) => this.hover(event));
    canvas.addEventListener("pointerleave", () => { this.leave(); this.lookAhead(this.view.time); });
    canvas.addEventListener("click", (event) => {
      const hit = this.at(event);
      if (hit) this.select(hit);
    });
    this.box.addEventListener("keydown", (event) => {
      if (!this.compared || event.target !== this.box || event.ctrlKey || event.metaKey || event.altKey) return;
      const { at } = this.selection, { words, models } = this.compared, model = Number(event.key) - 1;
      const next = step(event.key, at, words.labels.length - 1, this.view.units[at.model]) ?? (models[model] && { model });
      const [across, down] = ZOOMS[event.key] ?? [1, 1];
      if (!next && across === 1) return; // rows are as high as there is room for
      event.preventDefault();
      if (next) this.select(next);
      else this.zoomBy(across);
    });
  }

  at({ offsetX, offsetY }) { return comparisonAt(this.view, this.compared, offsetX, offsetY); }

  hover(event) {
    const hit = this.at(event), { view } = this, { models } = this.compared;
    if (!hit) {
      this.leave();
      return this.lookAhead(view.time);
    }
    this.tip.replaceChildren(...this.tell(hit));
    this.tip.style.display = "block";
    placeTip(this.tip, this.box, event);
    [null, ...models].forEach((model, k) => {
      const block = model ? blockView(view, model.number) : view;
      const again = view.stacked && model && model.number > 0; // then one frame is over all of them
      const hidden = again || hit.time < view.from || hit.time >= view.to;
      const [top, bottom] = model ? [view.mapsTop + TITLE, view.height] : [view.lean ? view.strip : 0, view.mapsTop - 18];
      const sizes = { left: x(block, hit.time) - 1, width: Math.max(3, block.column + 1), top, height: bottom - top };
      for (const [side, size] of Object.entries(sizes)) this.hovers[k].style[side] = `${size}px`;
      this.hovers[k].style.display = hidden ? "none" : "block";
    });
    for (const hover of this.hovers.slice(models.length + 1)) hover.style.display = "none";
    this.lookAhead(hit.time);
  }

  tell({ time, model, panel, units }) {
    // Where characters align the models, one that reads words has one token over several of them.
    const { header, models, words } = this.compared, at = models[model]?.at ?? [];
    const token = at[time] >= 0 ? words.labels.filter((_, a) => at[a] === at[time]).join("") : words.labels[time];
    const lines = [make("b", "", called({ level: words.level, labels: { [time]: token } }, time))];
    const say = (text, colour) => {
      const line = make("span", "", text);
      if (colour) line.style.color = colour;
      lines.push(line);
    };
    if (panel) {
      say(`${named(units)} · ${shortLabel(panel)} ${panel.symbol}`);
      const own = models[model];
      for (const other of models) {
        if (other !== own && other.kin !== own.kin) continue;
        const same = other.data.panels.find(({ role }) => role === panel.role);
        if (!same) continue;
        say(`${same.difference ? "Δ " : ""}${number(meanOf(same, units, time), 3)}  ${other.title}`, other[this.theme.mode]);
      }
      return lines;
    }
    if (model !== undefined) {
      say(models[model].title, models[model][this.theme.mode]);
      return lines;
    }
    for (const { chart } of this.view.charts) {
      say(chart.title);
      models.forEach((each, k) => {
        if (chart.lines[k].length) say(`${figure(chart, chart.lines[k][time])}  ${each.title}`, each[this.theme.mode]);
      });
      if (chart.beside.length) say(`${number(chart.beside[time])}  ${header.beside}`);
    }
    return lines;
  }

  leave() { for (const element of [this.tip, ...this.hovers]) element.style.display = "none"; }

  select({ time, unit, model }) { // what is not named stays
    const { at } = this.selection;
    this.selection.choose({ time: time ?? at.time, unit: unit ?? at.unit, model: model ?? at.model });
    this.arrange();
  }

  zoomBy(factor) { // by 0, as at first
    this.zoom = factor ? zoomed(this.zoom, factor, this.view.column, 3) : 1;
    this.arrange();
  }
}

const hosts = new WeakMap(); // one a mount

export default function comparison({ parentElement, data, setStateValue }) {
  if (refused(parentElement)) return;
  if (!hosts.has(parentElement)) hosts.set(parentElement, new Together(new Comparison(parentElement)));
  if (data) hosts.get(parentElement).receive(data, setStateValue);
  return whenGone(parentElement, () => {
    hosts.get(parentElement)?.end();
    hosts.delete(parentElement);
    unpainted();
  });
}
