// Several models reading one sentence: what differs between them, then the sentence with a line a model in each chart,
// then the gate maps side by side, and what each model expects next. All of it shares one window of tokens. Where a model
// would get too narrow a column, as on a phone, each has a row of its own instead: `stacked`.

import { DASHES, LEVELS, NAN } from "./constants.js";
import { button, follow, make, noteLines, placeTip, writeNotes } from "./dom.js";
import "./history.js";
import { GAP, LEFT, Picture, readTheme, RIGHT, whole } from "./picture.js";
import { linkButton, PAD, pictureButton } from "./present.js";
import { hold, whenGone } from "./streamlit.js";
import { clamp } from "./view.js";
import { decode } from "./wire.js";
import { drawable, missing, named, number, shortLabel } from "./words.js";

const FACTS = 3; // rows of what differs, until more are asked for
const TITLE = 26, CHART = 64, CAPTION = 18, BETWEEN = 16, NARROWEST = 96; // CSS pixels
const STACKED = { left: 3, right: 44, title: 24, share: 110 }; // gutters and heights where models are stacked

class Comparison extends Picture {
  constructor(root) {
    super();
    this.held = new Map(); // blocks of values by name
    this.reported = null; // what the server was told last
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
    this.narrower = button("−", "narrower columns", () => this.zoom(0.5));
    this.wider = button("+", "wider columns", () => this.zoom(2));
    this.fit = button("fit", "fit the columns to the page", () => this.zoom(1 / this.zoomX));
    const columns = make("span", "group", "columns", [this.narrower, this.wider]);
    this.hovers = []; // one a block of columns
    this.stage = make("div", "stage", "", [this.canvas]);
    this.spacer = make("div", "spacer");
    this.scroll = make("div", "scroll", "", [this.stage, this.spacer]);
    this.ahead = make("div", "facts ahead");
    this.tip = make("div", "tip");
    this.spoken = make("div", "spoken");
    this.spoken.setAttribute("aria-live", "polite");
    const bar = make("div", "bar", "", [this.note, columns, this.fit, linkButton(), pictureButton(this, "compare.png")]);
    this.box.append(this.notes, this.facts, this.same, bar, this.scroll, this.ahead, this.tip, this.spoken);
    this.listen();
  }

  // See wire.py: a header, and a gate map's message a model. Without a text there are none, and the place waits.
  receive(bytes, send) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let offset = 4 + view.getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, offset)));
    writeNotes(this.notes, header.notes);
    this.box.classList.toggle("empty", !header.models);
    if (!header.models) return this.clear();
    const parts = header.models.map(() => {
      const size = view.getUint32(offset, true), part = bytes.subarray(offset + 4, offset + 4 + size);
      offset += 4 + size;
      return decode(part, this.held);
    });
    if (parts.every(Boolean)) this.update(header, parts, send);
    hold(this, parts, send);
  }

  clear() {
    clearTimeout(this.timer);
    this.header = this.told = this.sent = null;
    window.__lstmvizPainted = { tokens: 0, at: performance.now(), draw: 0 };
  }

  update(header, parts, send) {
    const asked = JSON.stringify(header.selection), before = this.header, last = header.labels.length - 1;
    const following = before && this.time === before.labels.length - 1;
    Object.assign(this, { header, send, theme: readTheme(this.box) });
    this.labels = header.labels.map(drawable);
    this.sentence = { labels: this.labels, level: header.level, unknown: header.unknown }; // what drawTokens reads
    this.models = header.models.map((model, k) => ({ ...model, number: k, data: this.onAxis(parts[k], model.at) }));
    if (header.difference) this.subtract();
    if (asked !== this.told && asked !== this.sent) Object.assign(this, header.selection, { sent: null });
    else if (following) this.time = last; // the newest token was selected: stay with the newest
    this.told = asked;
    this.time = clamp(this.time, 0, last);
    this.model = clamp(this.model, 0, this.models.length - 1);
    const changed = before ? this.labels.findIndex((label, t) => label !== this.shownLabels[t]) : -1;
    this.shownLabels = this.labels;
    this.leave();
    this.arrange(changed < 0 ? this.time : changed);
    requestAnimationFrame(() => {
      window.__lstmvizPainted = { tokens: last + 1, at: performance.now(), draw: this.cost };
    });
  }

  // A model's values on the axis that all share; where none of its tokens stands, there is no value.
  onAxis(data, at) {
    for (const panel of data.panels) {
      const { size } = panel, codes = new Uint16Array(at.length * size).fill(NAN);
      at.forEach((t, a) => { if (t >= 0) codes.set(panel.codes.subarray(t * size, (t + 1) * size), a * size); });
      panel.codes = codes;
    }
    return data;
  }

  // Every panel of a model whose units are those of the reference becomes what it has more than the reference.
  subtract() {
    const reference = this.models[this.header.reference];
    for (const model of this.models) {
      if (model === reference || model.kin !== reference.kin) continue;
      model.subtracted = true;
      model.data.panels = model.data.panels.map((panel) => {
        const other = reference.data.panels.find(({ role }) => role === panel.role);
        if (!other) return panel;
        const high = Math.max(panel.high, other.high) - Math.min(panel.low, other.low, 0); // no difference is larger
        const codes = new Uint16Array(panel.codes.length);
        const value = ({ low, high }, code) => low + (code / LEVELS) * (high - low);
        for (let i = 0; i < codes.length; i++) {
          const [a, b] = [other.codes[i], panel.codes[i]];
          const more = value(panel, b) - value(other, a);
          codes[i] = a === NAN || b === NAN ? NAN : clamp(Math.round((LEVELS / 2) * (1 + more / high)), 0, LEVELS);
        }
        return { ...panel, codes, low: -high, high, limit: panel.limit, signed: true, difference: true };
      });
    }
  }

  // ---- the tables around the picture ---------------------------------------------------------------------------------

  // A column a model, over and under its maps; where models are stacked, a row a model.
  tabulate(element, titles, rows) {
    const { models, stacked } = this, what = (label) => make("span", "what", label);
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
    const { header } = this;
    const key = JSON.stringify([header.facts, header.same, header.reference, this.theme.mode, this.stacked]);
    if (key === this.written) return;
    this.written = key;
    const titles = this.models.map((model) => {
      const pinned = model.number === header.reference;
      const pin = button(pinned ? "reference" : "pin", pinned ? "the others are compared with this one" :
        "make this the reference that the others are compared with", () => this.send("pinned", model.id));
      pin.className = pinned ? "pin pinned" : "pin";
      return this.title(model, [pin]);
    });
    const rows = this.shownFacts().map(([label, values, differs]) =>
      [label, values.map((value) => Object.assign(make("span", differs ? "" : "equal", value), { title: value }))]);
    if (this.computing)
      rows.push(["equations", this.models.map(({ equations, remark }) =>
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

  shownFacts() { return this.unfolded ? this.header.facts : this.header.facts.slice(0, FACTS); }

  writeAhead(time) { // what each model made of a token, and what it expects after it
    const rows = [], { charts } = this.header;
    const line = (label, value) => rows.push([label, this.models.map(value)]);
    for (const chart of charts)
      line(chart.title, (model) => make("span", "figure", number(chart.lines[model.number][time])));
    line(`unit ${this.unit}`, ({ data }) => {
      if (!this.chosen(data)) return make("span", "quiet", "has other units");
      const values = data.panels.filter((panel) => panel.slot).map((panel) =>
        make("span", "likely", "", [make("i", "", panel.symbol), ` ${number(this.value(panel, this.unit, time))}`]));
      return make("span", "", "", values);
    });
    line("expects next", (model) => {
      const t = model.at[time], { top } = model.data;
      if (t < 0) return make("span", "quiet", "reads nothing here");
      const likely = top.tokens[t].slice(0, 3).map((token, k) =>
        make("span", "likely", "", [make("b", "", drawable(token)), ` ${number(top.probabilities[t][k])}`]));
      return make("span", "", "", likely);
    });
    this.tabulate(this.ahead, this.stacked ? this.models.map((model) => this.title(model)) : [], rows);
  }

  // ---- where things are ----------------------------------------------------------------------------------------------

  arrange(time = this.time) {
    this.width = this.scroll.clientWidth;
    this.layout();
    this.writeFacts();
    this.spacer.style.width = `${this.labels.length * this.wide + this.width - this.room()}px`;
    const x = time * this.wide, view = this.room(), left = this.scroll.scrollLeft;
    if (x < left) this.scroll.scrollLeft = x;
    if (x + this.wide > left + view) this.scroll.scrollLeft = x + this.wide - view;
    this.redraw();
  }

  redraw() {
    this.along = this.scroll.scrollLeft; // CSS pixels of the sentence that are hidden at the left
    this.draw();
    this.writeAhead(this.time);
    const { header } = this, { count } = header;
    const parts = [`${count} ${header.noun}${count === 1 ? "" : "s"}`];
    if (this.to - this.from < this.labels.length) parts.push(`showing ${this.from}–${this.to - 1}`);
    this.note.textContent = [...parts, header.note].filter(Boolean).join(" · ");
    this.note.title = this.note.textContent;
    this.narrower.disabled = this.wide <= 3;
    this.wider.disabled = this.wide >= 120;
    this.fit.disabled = this.zoomX === 1;
  }

  layout() {
    const { header, models } = this, { length: several } = models;
    const each = (start, stop) => (stop - start - (several - 1) * BETWEEN) / several;
    this.stacked = each(LEFT, this.width - RIGHT) < NARROWEST;
    [this.start, this.stop] = this.stacked ? [STACKED.left, this.width - STACKED.right] : [LEFT, this.width - RIGHT];
    this.blockWidth = this.stacked ? this.stop - this.start : each(this.start, this.stop);
    this.dpr = window.devicePixelRatio || 1;
    this.data = this.sentence;
    this.layoutColumns(this.labels.length);
    this.wide = this.column;
    const above = this.stacked ? STACKED.title : 0; // a title over what it names, where there is no gutter beside it
    this.charts = header.charts.map((chart, k) => ({ ...chart, y: this.strip + 10 + above + k * (CHART + GAP + above) }));
    let y = this.strip + 10 + this.charts.length * (CHART + GAP + above) + 14;
    this.mapsTop = y;
    if (!this.stacked) y += TITLE;
    const fair = clamp((header.height - y) / Math.max(1, header.slots.length) - CAPTION, 64, 190);
    const share = this.stacked ? STACKED.share : fair;
    for (const { data } of models) {
      const units = data.units.length && this.choose(data.units[0], data.telling[0], share, this.chosen(data) ? this.unit : null);
      for (const panel of data.panels) panel.units = units;
    }
    this.slots = header.slots.map((slot) => {
      const top = y;
      const rows = models.map((model) => {
        const panel = model.data.panels.find((panel) => panel.slot === slot.key);
        return panel ? { panel, ...this.layoutRows(panel.units.length, share * this.dpr) } : { height: 40 };
      });
      const height = Math.max(...rows.map((row) => row.height));
      y += above;
      const places = rows.map((row) => { // of each model, whether it has a panel or not
        const place = { ...row, y: y + CAPTION, height: this.stacked || row.panel ? row.height : height };
        if (this.stacked) y += CAPTION + place.height + 6;
        return place;
      });
      if (!this.stacked) y += CAPTION + height + 6;
      return { slot, y: top + CAPTION, places };
    });
    this.height = y + 4;
    const [width, height] = [this.width, this.height].map((size) => Math.round(size * this.dpr));
    if (this.canvas.width !== width || this.canvas.height !== height) {
      Object.assign(this.canvas, { width, height });
      Object.assign(this.canvas.style, { width: `${width / this.dpr}px`, height: `${height / this.dpr}px` });
    }
    while (this.hovers.length < models.length + 1) this.hovers.push(this.stage.appendChild(make("div", "hover")));
  }

  room() { return this.stop - this.start; }
  blockLeft(k) { return this.start + (this.stacked ? 0 : Math.round(k * (this.blockWidth + BETWEEN))); }

  // The columns from here on are those of the sentence, or of one model's maps.
  inSentence() {
    Object.assign(this, { left: this.start, right: this.stop, column: this.wide, scrolled: this.along });
    this.end = Math.min(this.right, this.x(this.labels.length));
  }
  inBlock(k) {
    if (this.stacked) return this.inSentence();
    const count = this.to - this.from, left = this.blockLeft(k);
    const column = Math.min(this.blockWidth / count, this.wide);
    Object.assign(this, { left, right: left + this.blockWidth, column, scrolled: this.from * column });
    this.end = Math.min(this.right, this.x(this.to));
  }

  // ---- drawing -------------------------------------------------------------------------------------------------------

  draw() {
    const start = performance.now(), { paint, theme, labels, models, header } = this;
    const view = this.room();
    if (view < 60) return; // not on screen yet; the resize will draw
    paint.setTransform(this.dpr, 0, 0, this.dpr, 0, 0);
    paint.fillStyle = theme.page;
    paint.fillRect(0, 0, this.width, this.height);
    paint.direction = "ltr";
    this.from = clamp(Math.floor(this.along / this.wide), 0, labels.length - 1);
    this.to = clamp(Math.ceil((this.along + view) / this.wide), this.from + 1, labels.length);
    this.data = this.sentence;
    this.inSentence();
    const surprise = models[header.reference].loss, most = header.level === "char" ? 5 : 10; // nats
    this.drawTokens(0, (t) => missing(surprise[t]) ? [...rgb(theme.ink), 0.08] :
      [...rgb(theme.tint), 0.85 * clamp(surprise[t] / most, 0, 1)]);
    if (!this.stacked) this.text("token", LEFT - 12, this.strip - 12, { alpha: 0.65 });
    for (const chart of this.charts) this.drawChart(chart);
    this.frame(0, this.mapsTop - 18);
    for (const { slot, y } of this.slots) this.drawName(slot.label, slot.hint, y);
    for (const model of models) this.drawModel(model);
    this.end = this.stop;
    for (const { places } of this.slots) {
      const drawn = places.filter(({ panel }) => panel), most = Math.max(...drawn.map(({ height }) => height));
      if (drawn.length) this.drawScales(drawn.map(({ panel }) => panel), drawn[0].y, Math.min(this.stacked ? drawn[0].height : most, 120));
    }
    this.cost = performance.now() - start;
  }

  drawChart({ title, unit, low, high, log, lines, y }) {
    const { paint, theme } = this, bottom = y + CHART, place = (v) => (log ? Math.log10(Math.max(v, low)) : v);
    const [from, to] = [place(low), place(high)];
    const at = (value) => bottom - clamp((place(value) - from) / (to - from), 0, 1) * (CHART - 4);
    paint.fillStyle = theme.line;
    paint.fillRect(this.start, bottom, this.end - this.start, 1);
    this.betweenGutters(y - 2, CHART + 3, () => {
      lines.forEach((line, k) => {
        if (!line.length) return;
        this.drawLine(line, at, this.models[k][theme.mode], k === this.header.reference ? 2.4 : 1.6, DASHES[k]);
        this.markBeyond(line, high, y, this.models[k][theme.mode], 12 * k);
      });
    });
    this.drawName(title, unit, y + 2);
    for (const [value, dy] of [[high, 6], [low, CHART - 5]]) {
      const text = number(value, Number.isInteger(value) ? 0 : 1);
      this.text(text, this.end + 8, y + dy, { size: 11, align: "left", alpha: 0.75, room: RIGHT - 10 });
    }
  }

  drawName(name, hint, y) { // of a chart or a row of maps; colours are the models' here
    const style = { size: 13, weight: 700 }, quiet = { size: 11, alpha: 0.65 }, { start } = this;
    if (!this.stacked) {
      this.text(name, LEFT - 12, y + 10, style);
      hint.split("\n").forEach((text, k) => this.text(text, LEFT - 12, y + 27 + 14 * k, quiet));
      return;
    }
    this.text(name, start, y - 12, { ...style, align: "left" });
    const end = start + this.paint.measureText(name).width + 8;
    this.text(hint.replaceAll("\n", " "), end, y - 12, { ...quiet, align: "left" });
  }

  drawModel(model) {
    const { theme, paint } = this, k = model.number, colour = model[theme.mode];
    this.inBlock(k);
    const { left, right } = this, style = { align: "left", colour, size: 13, weight: 700 };
    const { header, models } = this, shown = model.subtracted ? `${model.title} − ${models[header.reference].title}` :
      header.difference ? `${model.title} as it is` : model.title;
    const title = (from, to, y, room) => { // its line, and its name below; or beside each of its maps
      Object.assign(paint, { strokeStyle: colour, lineWidth: 3 });
      paint.setLineDash(DASHES[k]);
      paint.beginPath();
      paint.moveTo(from, y);
      paint.lineTo(to, y);
      paint.stroke();
      paint.setLineDash([]);
      this.setFont(13, 700);
      const [x, below] = this.stacked ? [to + 6, y] : [from, y + 14], name = this.ending(shown, room);
      this.text(name, x, below, style);
      return x + paint.measureText(name).width + 10;
    };
    if (!this.stacked) title(left, right, this.mapsTop - 4, this.blockWidth);
    for (const { slot, places } of this.slots) {
      const place = places[k], { y } = place;
      const begin = this.stacked ? title(left, left + 22, y - 9, this.blockWidth / 2) : left;
      if (!place.panel) this.drawAbsent(model, slot, y, place.height);
      else {
        this.data = model.data; // what drawPanel reads
        this.layer = place.panel.layer;
        this.drawPanel(place);
        this.drawCaption(model, place.panel, y, begin);
        this.frame(y - 2, y + place.height + 2);
      }
    }
  }

  drawPanel(place) { // as in the gate map, without its gutters
    const { panel, y, height, pitch } = place, { paint, theme, column } = this;
    this.betweenGutters(y, height, () => {
      this.drawCells(place, 0);
      paint.fillStyle = theme.page;
      paint.globalAlpha = 0.45;
      if (column >= 8) for (let t = this.from; t <= this.to; t++) paint.fillRect(this.x(t) - 1, y, 1, height);
      paint.globalAlpha = 1;
    });
    paint.strokeStyle = theme.line;
    paint.lineWidth = 1;
    paint.strokeRect(this.left - 0.5, y - 0.5, this.end - this.left + 1, height + 1);
    const row = panel.units.indexOf(this.unit);
    if (row >= 0 && pitch > 0 && this.chosen(this.data)) this.frameRow(place, row);
  }

  chosen(data) { // whether the selected unit is one of this model's
    const own = this.models.find((model) => model.data === data), selected = this.models[this.model];
    return own === selected || own.kin === selected.kin;
  }

  drawCaption(model, panel, y, left) { // its name in this cell, how far its colours reach, and a number
    const { theme, paint } = this, most = model.differences[panel.role], alpha = 0.7;
    const difference = missing(most) ? "Δ" : `max |Δ| ${most ? most.toPrecision(2) : 0}`;
    const told = panel.difference ? difference : `mean ${number(panel.mean)}`;
    const serif = { size: 13, weight: "italic", family: "serif" };
    this.setFont(serif.size, serif.weight, serif.family);
    const begin = left + paint.measureText(panel.symbol).width + 6;
    this.text(panel.symbol, left, y - 9, { ...serif, align: "left", colour: panel[theme.mode] });
    this.setFont(11);
    const room = this.end - begin - paint.measureText(told).width - 10, reach = panel.signed ? ` ±${whole(panel.limit)}` : "";
    this.text(told, this.end, y - 8, { size: 11, alpha });
    const names = [shortLabel(panel) + reach, reach.trim()];
    this.setFont(11);
    const name = names.find((text) => paint.measureText(text).width <= room);
    if (name) this.text(name, begin, y - 8, { size: 11, align: "left", alpha });
  }

  ending(text, room) { // as much of its end as there is room for: names of models often begin alike
    if (this.paint.measureText(text).width <= room) return text;
    let letters = [...text];
    while (letters.length > 1 && this.paint.measureText(`…${letters.join("")}`).width > room) letters = letters.slice(1);
    return `…${letters.join("")}`;
  }

  drawAbsent(model, slot, y, height) { // hatched, so that nobody takes it for zero
    const { paint, theme, left, right } = this;
    paint.save();
    paint.beginPath();
    paint.rect(left, y, right - left, height);
    paint.clip();
    Object.assign(paint, { strokeStyle: theme.line, lineWidth: 1 });
    paint.beginPath();
    for (let x = left - height; x < right; x += 9) {
      paint.moveTo(x, y + height);
      paint.lineTo(x + height, y);
    }
    paint.stroke();
    this.setFont(12);
    const said = model.absent[slot.key], lines = this.wrap(said, right - left - 24);
    const widest = Math.max(...lines.map((line) => paint.measureText(line).width));
    const [x, middle] = [(left + right) / 2, y + height / 2];
    paint.fillStyle = theme.page;
    paint.fillRect(x - widest / 2 - 8, middle - 8 * lines.length - 3, widest + 16, 16 * lines.length + 6);
    lines.forEach((line, k) =>
      this.text(line, x, middle + 16 * (k - (lines.length - 1) / 2), { align: "center", alpha: 0.8 }));
    paint.restore();
  }

  wrap(text, room) { // in the font that is set
    const lines = [""];
    for (const word of text.split(" ")) {
      const longer = `${lines.at(-1)} ${word}`.trim();
      if (lines.at(-1) && this.paint.measureText(longer).width > room) lines.push(word);
      else lines[lines.length - 1] = longer;
    }
    return lines;
  }

  drawScales(panels, y, height) { // one for gates and one for signed values, whichever there are
    const kinds = [false, true].map((signed) => panels.filter((panel) => panel.signed === signed));
    const shown = kinds.filter((some) => some.length), each = (height - 8 * (shown.length - 1)) / shown.length;
    shown.forEach((some, k) => {
      const [first] = some, alike = some.every(({ limit, difference }) => limit === first.limit && difference === first.difference);
      // Where maps reach differently far, it says what the colours mean, and the captions say how much.
      this.drawScale(alike ? first : { ...first, ends: ["+", "−"] }, y + k * (each + 8), each);
    });
  }

  frame(top, bottom) { // around the selected token's column
    const { paint } = this, left = this.x(this.time) - 1, width = Math.max(3, this.column + 1);
    if (left < this.left - 2 || left > this.right) return;
    const knee = top === 0 && this.lean ? this.strip : top; // slanted words are not over their column
    Object.assign(paint, { strokeStyle: this.theme.primary, lineWidth: 1.5 });
    paint.strokeRect(left, knee + 0.75, width, bottom - knee - 1.5);
  }

  // ---- for a picture to show: see present.js -------------------------------------------------------------------------

  spread() { return this.labels.length * this.wide; }
  stretch(height) { this.header = { ...this.header, height }; }
  own() {
    const panels = (data) => data.panels.map((panel) => ({ ...panel }));
    this.models = this.models.map((model) => ({ ...model, data: { ...model.data, panels: panels(model.data) } }));
  }
  sentenceShown() { return this.sentence; }
  headlines() { // the table of models, in the columns of their maps; where these are stacked a line for each
    const quiet = { size: 12, alpha: 0.65 }, { models, theme } = this, facts = this.shownFacts();
    const title = (model, x, y) => this.text(model.title, x, y, { size: 14, weight: 700, align: "left", colour: model[theme.mode] });
    if (this.stacked) return models.map((model, k) => (y) => {
      title(model, PAD, y);
      const said = facts.map(([label, values]) => `${label} ${values[k]}`).join(" · ");
      this.text(said, PAD + this.paint.measureText(model.title).width + 12, y, { ...quiet, align: "left" });
    });
    return [
      (y) => models.forEach((model, k) => title(model, this.blockLeft(k), y)),
      ...facts.map(([label, values]) => (y) => {
        this.text(label, LEFT - 12, y, quiet);
        values.forEach((value, k) => this.text(value, this.blockLeft(k), y, { size: 13, align: "left" }));
      }),
    ];
  }

  // ---- what a person does --------------------------------------------------------------------------------------------

  listen() {
    const { canvas, scroll } = this;
    this.unfollow = follow(this);
    scroll.addEventListener("scroll", () => {
      if (!this.header || scroll.scrollLeft === this.along) return;
      this.leave();
      this.redraw();
    });
    canvas.addEventListener("pointermove", (event) => this.hover(event));
    canvas.addEventListener("pointerleave", () => { this.leave(); this.writeAhead(this.time); });
    canvas.addEventListener("click", (event) => {
      const hit = this.at(event);
      if (hit) this.select({ time: hit.time, model: hit.model ?? this.model, unit: hit.unit ?? this.unit });
    });
    this.box.addEventListener("keydown", (event) => {
      if (!this.header || event.target !== this.box || event.ctrlKey || event.metaKey || event.altKey) return;
      const last = this.labels.length - 1, rows = this.models[this.model].data.panels[0]?.units ?? [];
      const row = rows.indexOf(this.unit);
      const to = (time) => this.select({ time: clamp(time, 0, last) });
      const unit = (next) => rows.length && this.select({ unit: rows[clamp(next, 0, rows.length - 1)] });
      const act = {
        ArrowLeft: () => to(this.time - 1), ArrowRight: () => to(this.time + 1), Home: () => to(0), End: () => to(last),
        ArrowUp: () => unit(row - 1), ArrowDown: () => unit(row + 1), PageUp: () => unit(row - 10),
        PageDown: () => unit(row + 10), ">": () => this.zoom(2), "<": () => this.zoom(0.5), "0": () => this.zoom(1 / this.zoomX),
      }[event.key] ?? (this.models[Number(event.key) - 1] && (() => this.select({ model: Number(event.key) - 1 })));
      if (!act) return;
      event.preventDefault();
      act();
    });
  }

  at({ offsetX, offsetY }) { // the token, and in a map the model and the unit, under the pointer
    const inside = (from, to) => offsetX >= from && offsetX < to;
    if (offsetY < this.mapsTop - 14) {
      this.inSentence();
      const lean = this.leanAt(offsetY, [0]), time = Math.floor((offsetX - this.start - lean + this.along) / this.wide);
      return inside(this.start, this.end + lean) && time >= 0 && time < this.labels.length ? { time } : null;
    }
    const over = (place, k) => inside(this.blockLeft(k), this.blockLeft(k) + this.blockWidth) &&
      offsetY >= place.y && offsetY < place.y + place.height;
    const slot = this.slots.find(({ places }) => places.some(over));
    const model = slot ? slot.places.findIndex(over) :
      this.models.findIndex((_, k) => inside(this.blockLeft(k), this.blockLeft(k) + this.blockWidth));
    if (model < 0) return null;
    this.inBlock(model);
    const time = Math.floor((offsetX - this.left + this.scrolled) / this.column);
    if (time < this.from || time >= this.to) return null;
    const place = slot?.places[model];
    if (!place?.panel) return slot || !this.stacked ? { time, model } : { time };
    const { panel, pitch } = place, pool = this.pool(pitch);
    const row = pool * Math.floor(((offsetY - place.y) * this.dpr) / Math.max(1, pitch));
    const units = panel.units.slice(row, row + pool); // a line is the mean of these
    return units.length ? { time, model, panel, units, unit: units[0] } : { time, model };
  }

  hover(event) {
    const hit = this.at(event);
    if (!hit) {
      this.leave();
      return this.writeAhead(this.time);
    }
    this.tip.replaceChildren(...this.tell(hit));
    this.tip.style.display = "block";
    placeTip(this.tip, this.box, event);
    [null, ...this.models].forEach((model, k) => {
      if (model) this.inBlock(model.number);
      else this.inSentence();
      const again = this.stacked && model && model.number > 0; // then one frame is over all of them
      const hidden = again || hit.time < this.from || hit.time >= this.to;
      const [top, bottom] = model ? [this.mapsTop + TITLE, this.height] : [this.lean ? this.strip : 0, this.mapsTop - 18];
      const sizes = { left: this.x(hit.time) - 1, width: Math.max(3, this.column + 1), top, height: bottom - top };
      for (const [side, size] of Object.entries(sizes)) this.hovers[k].style[side] = `${size}px`;
      this.hovers[k].style.display = hidden ? "none" : "block";
    });
    for (const hover of this.hovers.slice(this.models.length + 1)) hover.style.display = "none";
    this.writeAhead(hit.time);
  }

  tell({ time, model, panel, units }) {
    // Where characters align the models, one that reads words has one token over several of them.
    const at = this.models[model]?.at ?? [], token = at[time] >= 0 ? this.labels.filter((_, a) => at[a] === at[time]).join("") : this.labels[time];
    const lines = [make("b", "", `“${token}” (${time})`)];
    const say = (text, colour) => {
      const line = make("span", "", text);
      if (colour) line.style.color = colour;
      lines.push(line);
    };
    if (panel) {
      say(`${named(units)} · ${shortLabel(panel)} ${panel.symbol}`);
      const own = this.models[model];
      for (const other of this.models) {
        if (other !== own && other.kin !== own.kin) continue;
        const same = other.data.panels.find(({ role }) => role === panel.role);
        if (!same) continue;
        say(`${same.difference ? "Δ " : ""}${number(this.meanOf(same, units, time), 3)}  ${other.title}`, other[this.theme.mode]);
      }
      return lines;
    }
    if (model !== undefined) {
      say(this.models[model].title, this.models[model][this.theme.mode]);
      return lines;
    }
    for (const chart of this.charts) {
      say(chart.title);
      this.models.forEach((each, k) => {
        if (chart.lines[k].length) say(`${number(chart.lines[k][time])}  ${each.title}`, each[this.theme.mode]);
      });
    }
    return lines;
  }

  leave() { for (const element of [this.tip, ...this.hovers]) element.style.display = "none"; }

  select(chosen) {
    Object.assign(this, chosen);
    this.arrange();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { // the server hears of it once the keys rest
      const selection = { time: this.time, unit: this.unit, model: this.model };
      this.sent = JSON.stringify(selection);
      this.send("selection", selection);
      const model = this.models[this.model];
      this.spoken.textContent = `Token ${this.labels[this.time]} at ${this.time}; unit ${this.unit} of ${model.title}`;
    }, 120);
  }

  zoom(factor) {
    const natural = this.wide / this.zoomX;
    this.zoomX = clamp(this.zoomX * factor, 3 / natural, 128 / natural);
    this.arrange();
  }
}

const comparisons = new WeakMap(); // one a mount

export default function ({ parentElement, data, setStateValue }) {
  if (!comparisons.has(parentElement)) comparisons.set(parentElement, new Comparison(parentElement));
  if (data) comparisons.get(parentElement).receive(data, setStateValue);
  return whenGone(parentElement, () => {
    comparisons.get(parentElement)?.unfollow();
    comparisons.delete(parentElement);
    window.__lstmvizPainted = null;
  });
}
