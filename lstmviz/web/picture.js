// The picture: where everything lies on the canvas and how it is drawn. It knows nothing of pointers, keys or the page.
//
// Top to bottom, on shared columns of one token each: the tokens, their losses, one panel a gate, and the selected unit
// through the sentence. Where a layer has more units than can be told apart, a panel shows those that tell most. The gutters left and right stay where they are while the columns scroll.

import { CIVIDIS, INKS, LEVELS, NAN, SIGNED } from "./constants.js";
import { clamp } from "./view.js";
import { missing, number, perplexity, shortLabel } from "./words.js";

export const LEFT = 130, RIGHT = 60, GAP = 10, LOSS = 66; // CSS pixels
const ROW = 5, FEWEST = 16; // the least height of a row that can be told from the next, and as many are shown at least
const LOWEST = 100, HIGHEST = 260; // of a panel
const NUMBERS = 20; // the width of a column of the units' numbers, of which there are two
const ABOVE = 240; // what stands over the map on its page, when that is not scrolled
const SIN = Math.sin(Math.PI / 3), TAN = Math.tan(Math.PI / 3); // slanted words stand at 60 degrees

// ---- colour --------------------------------------------------------------------------------------------------------

// Red, green, blue of any CSS colour: the browser parses it, by painting one pixel.
const parsed = new Map();
function rgb(colour) {
  if (!parsed.has(colour)) {
    const pixel = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    pixel.fillStyle = colour;
    pixel.fillRect(0, 0, 1, 1);
    parsed.set(colour, [...pixel.getImageData(0, 0, 1, 1).data.slice(0, 3)]);
  }
  return parsed.get(colour);
}

// 256 colours along equally spaced stops, packed as ImageData wants them.
function ramp(stops) {
  const colours = stops.map(rgb), table = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (colours.length - 1), k = Math.min(colours.length - 2, Math.floor(place));
    const [r, g, b] = colours[k].map((from, c) => Math.round(from + (place - k) * (colours[k + 1][c] - from)));
    table[i] = (255 << 24) | (b << 16) | (g << 8) | r;
  }
  return table;
}

const channels = (packed) => [packed & 255, (packed >> 8) & 255, (packed >> 16) & 255];
const brightness = ([r, g, b]) => 0.299 * r + 0.587 * g + 0.114 * b;
export const whole = (value) => number(value, Number.isInteger(value) ? 0 : 2);
const inkOn = (colour) => (brightness(colour) > 128 ? "#111827" : "#f9fafb"); // text that can be read on a colour

export function readTheme(element) {
  const style = getComputedStyle(element);
  const get = (name, otherwise) => style.getPropertyValue(`--st-${name}`).trim() || otherwise;
  const page = get("background-color", "#ffffff"), mode = brightness(rgb(page)) < 128 ? "dark" : "light";
  const [negative, positive] = SIGNED[mode];
  return {
    mode, page, ...INKS[mode],
    ink: get("text-color", "#1f2937"), line: get("border-color", "#d1d5db"), primary: get("primary-color", "#2563eb"),
    font: get("font", "sans-serif"), code: get("code-font", "monospace"),
    gates: ramp(CIVIDIS), signed: ramp([...negative, page, ...positive]),
  };
}

// ---- the picture ---------------------------------------------------------------------------------------------------

export class Picture {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("aria-hidden", "true"); // what it shows is spoken by the box around it
    this.paint = this.canvas.getContext("2d", { alpha: false });
    this.cells = document.createElement("canvas"); // one pixel a value, before it is enlarged
    this.labelWidths = new Map();
    this.zoomX = this.zoomY = 1;
    this.first = {}; // layer -> first visible row, where a panel is zoomed
    this.scrolled = 0; // CSS pixels of columns hidden behind the left gutter
    this.gutter = LEFT; // what stands at the left of the columns: names and numbers
    this.left = LEFT; // where the columns begin; they end at `right`, or at `end` if they do not fill the room
    // data, theme, width, time, unit and layer are set by the map before anything is drawn
  }

  rows(layer = this.layer) { return this.panelsOf(layer)[0].units; }
  panelsOf(layer) { return this.data.panels.filter((panel) => panel.layer === layer); }
  value(panel, unit, time) {
    const code = time < 0 ? NAN : panel.codes[time * panel.size + unit];
    return code === NAN ? NaN : panel.low + (code / LEVELS) * (panel.high - panel.low);
  }

  meanOf(panel, units, time) { // of those that have a value
    const values = units.map((unit) => this.value(panel, unit, time)).filter((value) => !missing(value));
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  }

  annotation(unit, layer = this.layer) { // the server annotates the layer it thinks selected
    return layer === this.data.selection.layer ? this.data.annotation[String(unit)] ?? null : null;
  }

  // ---- where things are (CSS pixels; columns and rows are whole device pixels) -------------------------------------

  layout() {
    const { data } = this, tokens = data.tokens.length;
    this.right = this.width - RIGHT;
    this.dpr = window.devicePixelRatio || 1;
    this.layoutColumns(tokens);
    this.lossTop = this.strip + 6;
    const rank = ({ does, role }) => (does === "holds" ? 0 : role === "hidden" ? 1 : 2); // states first: the gates explain them
    this.roles = [...this.panelsOf(this.layer)].sort((a, b) => rank(a) - rank(b));
    this.band = this.lean ? 12 : this.strip; // of the selected unit: words that are slanted are not written again
    this.role = this.column >= 32 ? 34 : 22; // the height of a strip, with numbers over its bars or without
    const own = 22 + this.band + 6 + this.roles.length * this.role + 4;
    const shown = data.panels.filter((panel) => panel.drawn), top = this.lossTop + LOSS + GAP;
    const room = data.height || window.innerHeight - ABOVE - own;
    const share = clamp((room - top) / Math.max(1, shown.length) - GAP, LOWEST, HIGHEST);
    for (const [k, layer] of data.layers.entries()) {
      const units = this.choose(data.units[k], data.telling?.[k], share, layer === this.layer ? this.unit : null);
      for (const panel of this.panelsOf(layer)) panel.units = units;
    }
    let y = top;
    this.panels = shown.map((panel) => {
      const place = { panel, y, ...this.layoutRows(panel.units.length, share * this.dpr) };
      y += place.height + GAP;
      return place;
    });
    this.panelsEnd = y - GAP;
    this.unitTop = y + 18;
    this.rolesTop = this.unitTop + this.band + 6;
    this.height = this.rolesTop + this.roles.length * this.role + 4;
    const [width, height] = [this.width, this.height].map((size) => Math.round(size * this.dpr));
    if (this.canvas.width !== width || this.canvas.height !== height) {
      Object.assign(this.canvas, { width, height });
      Object.assign(this.canvas.style, { width: `${width / this.dpr}px`, height: `${height / this.dpr}px` });
    }
  }

  // The units of a panel of so many pixels: all, or of those that tell most (named in that order) as many as can be told
  // apart. The selected one is among them, wherever it stands.
  choose(order, telling, share, selected) {
    if (!telling) return order;
    const first = telling.filter((unit) => unit !== selected);
    if (selected !== null) first.unshift(selected);
    const shown = new Set(first.slice(0, clamp(Math.floor(share / ROW), FEWEST, telling.length)));
    return order.filter((unit) => shown.has(unit));
  }

  // Fit the width if labels stay legible, else their smallest width; words that do not fit their column are slanted.
  layoutColumns(tokens) {
    this.setTokenFont();
    const widest = this.data.labels.reduce((most, label) => Math.max(most, this.labelWidth(label)), 8);
    const room = this.room(), narrowest = widest > 16 ? 18 : 12;
    const fit = clamp(room / tokens, narrowest, Math.max(44, widest + 14));
    this.column = Math.max(1, Math.floor(fit * this.zoomX * this.dpr)) / this.dpr;
    const slanted = widest + 4 > this.column && this.column >= 13;
    this.strip = slanted ? Math.ceil(Math.min(widest, 84) * SIN + 14) : 26;
    this.lean = slanted ? this.strip / TAN : 0;
  }

  room() { return this.width - this.gutter - RIGHT; } // for the columns

  // Whole device pixels a row, or whole rows a pixel: either way no unit is drawn larger than another.
  layoutRows(count, share) {
    const whole = (pitch) => (pitch > 0.75 ? Math.max(1, Math.round(pitch)) : 1 / Math.round(1 / pitch));
    const fitted = whole(share / count), height = Math.ceil(count * fitted - 1e-6), pitch = whole(fitted * this.zoomY);
    return { height: height / this.dpr, pitch, rows: Math.min(count, Math.max(1, Math.floor(height / pitch + 1e-6))) };
  }

  leanAt(y, tops) { // how far a slanted token has moved right at this height, of strips that begin at these
    const strip = tops.find((top) => y >= top && y < top + this.strip);
    return strip === undefined ? 0 : this.lean * (1 - (y - strip) / this.strip);
  }

  setTokenFont() { this.setFont(13, "", this.data.level === "char" ? this.theme.code : this.theme.font); }
  labelWidth(label) { // in the token font, which must be set
    const key = this.paint.font + label;
    if (!this.labelWidths.has(key)) this.labelWidths.set(key, this.paint.measureText(label).width);
    return this.labelWidths.get(key);
  }
  firstRow({ panel, rows }) { return clamp(this.first[panel.layer] ?? 0, 0, panel.units.length - rows); }
  x(time) { return this.left + Math.round((time * this.column - this.scrolled) * this.dpr) / this.dpr; }

  // ---- drawing -----------------------------------------------------------------------------------------------------

  draw() {
    const start = performance.now(), { paint, theme, data } = this, view = this.width - this.gutter - RIGHT;
    if (view < 20) return; // not on screen yet; the resize will draw
    paint.setTransform(this.dpr, 0, 0, this.dpr, 0, 0);
    paint.fillStyle = theme.page;
    paint.fillRect(0, 0, this.width, this.height);
    paint.direction = "ltr";
    this.from = clamp(Math.floor(this.scrolled / this.column), 0, data.tokens.length - 1);
    this.to = clamp(Math.ceil((this.scrolled + view) / this.column), this.from + 1, data.tokens.length);
    this.end = Math.min(this.right, this.x(data.tokens.length));
    this.drawTokens(0, (t) => missing(data.nll[t]) ? [...rgb(theme.ink), 0.08] :
      [...rgb(theme.tint), 0.85 * clamp(data.nll[t] / this.lossScale(), 0, 1)]);
    this.text("token", this.gutter - 12, this.strip - 12, { alpha: 0.65 });
    this.drawLoss();
    for (const place of this.panels) this.drawPanel(place);
    this.drawUnit();
    this.frameColumn(0, this.panelsEnd, this.strip);
    this.frameColumn(this.unitTop, this.height - 1, this.lean ? 0 : this.strip);
    this.cost = performance.now() - start;
  }

  setFont(size, weight = "", family = this.theme.font) { this.paint.font = `${weight} ${size}px ${family}`; }

  // One line; where it is wider than its room, in smaller letters.
  text(text, x, y, { size = 12, weight = "", align = "right", colour = this.theme.ink, alpha = 1, family, room } = {}) {
    const { paint } = this;
    this.setFont(size, weight, family);
    if (room) {
      const { width } = paint.measureText(text);
      if (width > room) this.setFont(Math.max(7, size * room / width), weight, family);
    }
    Object.assign(paint, { textAlign: align, textBaseline: "middle", fillStyle: colour, globalAlpha: alpha });
    paint.fillText(text, x, y);
    paint.globalAlpha = 1;
  }

  betweenGutters(y, height, body, overhang = 0) {
    this.paint.save();
    this.paint.beginPath();
    this.paint.rect(this.left, y, this.right + overhang - this.left, height);
    this.paint.clip();
    body();
    this.paint.restore();
  }

  outline(points) {
    this.paint.beginPath();
    for (const [x, y] of points) this.paint.lineTo(x, y);
    this.paint.closePath();
  }

  // The tokens over their columns; tint(t) is [red, green, blue, alpha].
  drawTokens(y, tint) {
    const { paint, data, theme, column, lean } = this, height = this.strip, page = rgb(theme.page);
    const width = column > 8 ? column - 1 : column, bottom = y + height;
    const reach = Math.ceil(lean / column); // slanted tokens that begin left of the view still lean into it
    this.betweenGutters(y, height, () => {
      for (let t = Math.max(0, this.from - reach); t < this.to; t++) {
        const x = this.x(t), [r, g, b, alpha] = tint(t);
        paint.fillStyle = `rgba(${r}, ${g}, ${b}, ${alpha})`;
        this.outline([[x, bottom], [x + width, bottom], [x + width + lean, y], [x + lean, y]]);
        paint.fill();
        if (!missing(data.generated_from) && t >= data.generated_from) {
          paint.fillStyle = theme.primary;
          paint.fillRect(x, bottom - 2, width, 2);
        }
        if (column < 9) continue; // zoomed out: the colours remain, the words are in the tooltip
        const behind = [r, g, b].map((channel, c) => page[c] + alpha * (channel - page[c]));
        this.drawToken(t, x + width / 2, bottom, inkOn(behind));
      }
    }, lean ? RIGHT : 0);
  }

  drawToken(t, x, bottom, ink) {
    const { paint, lean, strip } = this, label = this.data.labels[t];
    this.setTokenFont();
    const room = lean ? (strip - 12) / SIN : this.column, width = Math.min(this.labelWidth(label), room);
    paint.save();
    paint.translate(lean ? x + 4 : x - width / 2, lean ? bottom - 7 : bottom - strip / 2);
    if (lean) paint.rotate(-Math.PI / 3);
    Object.assign(paint, { textAlign: "left", textBaseline: "middle", fillStyle: ink });
    paint.fillText(this.shorten(label, room), 0, 0);
    if (this.data.unknown[t]) {
      Object.assign(paint, { strokeStyle: ink, lineWidth: 1.2 });
      paint.setLineDash([3, 2]);
      paint.beginPath();
      paint.moveTo(0, 8.5);
      paint.lineTo(width, 8.5);
      paint.stroke();
    }
    paint.restore();
  }

  shorten(label, room) {
    if (this.labelWidth(label) <= room + 1) return label;
    const letters = [...label].slice(0, Math.ceil(room / 2)); // however long the word, few of its letters can fit
    while (letters.length > 1 && this.paint.measureText(letters.join("") + "…").width > room) letters.pop();
    return letters.join("") + "…";
  }

  lossScale() { return this.data.level === "char" ? 5 : 10; } // nats: the same whatever the sentence

  drawLoss() {
    const { paint, data, theme, lossTop, gutter } = this, bottom = lossTop + LOSS, running = data.running_nll;
    const most = (list) => list.reduce((a, b) => Math.max(a, b ?? 0), 0), last = running.at(-1);
    const seen = (list) => list.slice(this.from, this.to);
    const top = Math.max(this.lossScale(), most(seen(data.nll)), most(seen(running))); // higher only for what is off it
    // Perplexity begins huge and settles; its axis serves where it settled, and the line may come in through the top.
    const highest = clamp(Math.exp(most(running)), 2, Math.max(4, 4 * Math.exp(last ?? 0)));
    const lossY = (nll) => bottom - (nll / top) * LOSS;
    const perplexityY = (nll) => bottom - ((Math.exp(nll) - 1) / (highest - 1)) * (LOSS - 2);
    this.betweenGutters(lossTop, LOSS + 1, () => {
      paint.fillStyle = theme.bar;
      for (let t = this.from; t < this.to; t++)
        paint.fillRect(this.x(t), lossY(data.nll[t] ?? 0), this.barWidth(), bottom - lossY(data.nll[t] ?? 0));
      this.drawLine(running, lossY, theme.loss, 1.2, [3, 2]);
      this.drawLine(running, perplexityY, theme.perplexity, 2);
      this.markBeyond(running.map((nll) => missing(nll) ? nll : Math.exp(nll)), highest, lossTop, theme.perplexity);
    });
    paint.fillStyle = theme.line;
    paint.fillRect(gutter, bottom, this.end - gutter, 1);
    const row = (label, value, y, colour) => {
      this.text(label, gutter - 54, lossTop + y, { colour, room: gutter - 56 });
      this.text(value, gutter - 12, lossTop + y, { weight: 600, colour, room: 38 });
    };
    row(this.narrow ? "loss" : "loss (nats)", number(data.nll[this.time]), 14, theme.loss);
    row("so far", number(running[this.time]), 32, theme.loss);
    row(this.narrow ? "ppl" : "perplexity", perplexity(running[this.time]), 50, theme.perplexity);
    const scale = (text, y, colour, style) =>
      this.text(text, this.end + 8, y, { align: "left", colour, room: RIGHT - 10, ...style });
    scale(`${number(top, 0)} nats`, lossTop + 6, theme.loss, { size: 11 });
    scale(`ppl ${perplexity(Math.log(highest))}`, lossTop + 21, theme.perplexity, { size: 11 });
    if (!missing(last)) {
      const y = clamp(perplexityY(last), lossTop + 38, bottom - 5);
      scale(perplexity(last), y, theme.perplexity, { size: 13, weight: 700 });
    }
  }

  // Where a line is above its strip: a bar for each stretch, and an arrow with the largest value; where several lines share
  // the strip, an arrow a line side by side, and no value.
  markBeyond(values, highest, y, colour, shift = null) {
    const { paint, theme } = this, beyond = (t) => values[t] > highest * 1.001;
    this.beyond = []; // for tests, and for the curious
    for (let t = this.from; t < this.to; t++) {
      if (!beyond(t)) continue;
      const first = t;
      while (t + 1 < this.to && beyond(t + 1)) t++;
      const most = values.slice(first, t + 1).reduce((a, b) => Math.max(a, b)), text = number(most, most < 100 ? 1 : 0);
      this.setFont(11, 700);
      const [left, right] = [this.x(first), this.x(t) + this.column], width = paint.measureText(text).width;
      const middle = shift === null ? clamp((left + right) / 2, this.left + 6, this.right - width - 16) : left + 6 + shift;
      paint.fillStyle = colour;
      paint.fillRect(left + 1, y, right - left - 2, 2);
      this.outline([[middle, y], [middle + 5, y + 7], [middle - 5, y + 7]]);
      paint.fill();
      this.beyond.push({ from: first, to: t, most });
      if (shift !== null) continue;
      Object.assign(paint, { strokeStyle: theme.page, lineWidth: 3, textAlign: "left", textBaseline: "middle" });
      paint.strokeText(text, middle + 8, y + 8); // a halo, for bars behind it
      paint.fillText(text, middle + 8, y + 8);
    }
  }

  barWidth() { return Math.max(1, this.column - (this.column > 5 ? 1.5 : 0)); }

  drawLine(values, y, colour, width, dash = []) {
    const { paint, column } = this, middle = (t) => this.x(t) + column / 2;
    Object.assign(paint, { strokeStyle: colour, fillStyle: colour, lineWidth: width, lineJoin: "round" });
    paint.setLineDash(dash);
    paint.beginPath();
    for (let t = Math.max(0, this.from - 1); t < Math.min(this.to + 1, values.length); t++)
      if (!missing(values[t])) paint[missing(values[t - 1]) ? "moveTo" : "lineTo"](middle(t), y(values[t]));
    paint.stroke();
    paint.setLineDash([]);
    if (missing(values[this.time])) return;
    paint.beginPath();
    paint.arc(middle(this.time), y(values[this.time]), width + 1.5, 0, 2 * Math.PI);
    paint.fill();
  }

  table(panel) { return panel.signed ? this.theme.signed : this.theme.gates; }

  // From a code to its place in the colour table. A signed panel may have its last colour at a limit below its bound.
  shader({ signed, high, limit = high }) {
    const gain = (signed ? high / limit : 1) / 256, middle = signed ? LEVELS / 2 : 0, zero = signed ? 127.5 : 0;
    return (code) => clamp(Math.floor(zero + (code - middle) * gain), 0, 255);
  }

  drawPanel(place) {
    const { panel, y, height, pitch, rows } = place, { paint, theme, column } = this, first = this.firstRow(place);
    this.betweenGutters(y, height, () => {
      this.drawCells(place, first);
      paint.fillStyle = theme.page;
      paint.globalAlpha = 0.45;
      if (column >= 8) for (let t = this.from; t <= this.to; t++) paint.fillRect(this.x(t) - 1, y, 1, height);
      if (pitch >= 8 * this.dpr)
        for (let r = 1; r < rows; r++) paint.fillRect(this.left, y + (r * pitch) / this.dpr - 1, this.width, 1);
      paint.globalAlpha = 1;
      if (column >= 30 && pitch >= 13 * this.dpr) this.drawNumbers(place, first);
    });
    if (panel.layer === this.layer) this.frameRow(place, panel.units.indexOf(this.unit) - first);
    this.drawUnitNumbers(place, first);
    this.drawPanelName(panel, y, height);
    this.drawScale(panel, y, height);
    if (rows < panel.units.length) { // zoomed: where in the units this window lies
      paint.fillStyle = theme.primary;
      const share = height / panel.units.length;
      paint.fillRect(this.end + 2, y + first * share, 3, Math.max(6, rows * share));
    }
  }

  pool(pitch) { return pitch < 1 ? Math.round(1 / pitch) : 1; } // units whose mean is a line

  // One pixel a value into a small image, which the canvas then enlarges; where rows outnumber pixels, their mean.
  drawCells({ panel, y, pitch, rows }, first) {
    const { codes, units, size } = panel, columns = this.to - this.from, table = this.table(panel), shade = this.shader(panel);
    const pool = this.pool(pitch), lines = Math.ceil(rows / pool);
    const image = this.paint.createImageData(columns, lines), pixels = new Uint32Array(image.data.buffer);
    for (let line = 0; line < lines; line++) {
      const some = units.slice(first + line * pool, first + (line + 1) * pool);
      for (let t = 0; t < columns; t++) {
        let sum = 0, count = 0;
        for (const unit of some) {
          const code = codes[(this.from + t) * size + unit];
          if (code !== NAN) { sum += code; count++; }
        }
        if (count) pixels[line * columns + t] = table[shade(sum / count)]; // no value: the page shows through
      }
    }
    Object.assign(this.cells, { width: columns, height: lines }); // which also clears it
    this.cells.getContext("2d").putImageData(image, 0, 0);
    this.paint.imageSmoothingEnabled = false;
    const height = (lines * Math.max(1, pitch)) / this.dpr;
    this.paint.drawImage(this.cells, this.x(this.from), y, columns * this.column, height);
  }

  drawNumbers({ panel, y, pitch, rows }, first) { // in cells large enough to be read
    const table = this.table(panel), { codes, units, size } = panel, shade = this.shader(panel);
    for (let row = 0; row < rows; row++)
      for (let t = this.from; t < this.to; t++) {
        const code = codes[t * size + units[first + row]];
        if (code === NAN) continue;
        const style = { size: 11, align: "center", colour: inkOn(channels(table[shade(code)])), room: this.column - 2 };
        const middle = y + ((row + 0.5) * pitch) / this.dpr;
        this.text(number(this.value(panel, units[first + row], t)), this.x(t) + this.column / 2, middle, style);
      }
  }

  frameRow({ y, pitch, rows }, row) {
    if (row < 0 || row >= rows) return;
    const { paint, theme } = this, thick = Math.max(2, pitch / this.dpr), room = thick > 8 ? 0 : 1.5;
    const frame = [this.left - 2, y + (row * pitch) / this.dpr - room, this.end - this.left + 3, thick + 2 * room];
    for (const [width, colour] of [[3.5, theme.page], [1.5, theme.ink]]) { // a halo, for any colour behind it
      Object.assign(paint, { lineWidth: width, strokeStyle: colour });
      paint.strokeRect(...frame);
    }
  }

  // Which unit a row is: where rows are low, in two columns that take turns; where they are lower, the selected one only.
  drawUnitNumbers({ panel, y, pitch, rows }, first) {
    const high = pitch / this.dpr, columns = high >= 10 ? 1 : 2, all = high >= 4.5;
    for (let row = 0; row < rows; row++) {
      const unit = panel.units[first + row], selected = panel.layer === this.layer && unit === this.unit;
      if (!all && !selected) continue;
      const x = this.left - 6 - (all ? row % columns : 0) * NUMBERS, middle = y + (row + 0.5) * high;
      const style = selected ? { size: 11, weight: 700, colour: this.theme.primary } : { size: 9.5, alpha: 0.7 };
      this.text(unit, x, middle + 0.5, { ...style, room: NUMBERS - 3 });
    }
  }

  drawPanelName(panel, y, height) {
    const end = this.gutter - 12 - 2 * NUMBERS, symbol = end - this.subscriptWidth(panel), quiet = { size: 11, alpha: 0.65 };
    if (this.narrow) return this.drawSymbol(panel, symbol, y + 12, panel[this.theme.mode]);
    this.text(panel.label, end, y + 10, { size: 13, weight: 700, colour: panel[this.theme.mode], room: end - 2 });
    this.drawSymbol(panel, symbol, y + 28, this.theme.ink, 0.8);
    if (panel.layer_label) this.text(panel.layer_label, symbol - 20, y + 29, quiet);
    if (height > 46) this.text(`mean ${number(panel.mean)}`, end, y + 46, { ...quiet, room: end - 2 });
  }

  subscriptWidth(panel) { this.setFont(11, "italic", "serif"); return this.paint.measureText(panel.index).width; }
  drawSymbol(panel, x, y, colour, alpha = 1) { // x: where the symbol ends and its subscript begins
    const style = { weight: "italic", family: "serif", colour, alpha };
    this.text(panel.symbol, x, y, { ...style, size: 16 });
    this.text(panel.index, x, y + 4, { ...style, size: 11, align: "left" });
  }

  drawScale(panel, y, height) {
    const { paint, end } = this, table = this.table(panel), scale = paint.createLinearGradient(0, y + height, 0, y);
    for (let i = 0; i <= 16; i++) scale.addColorStop(i / 16, `rgb(${channels(table[Math.round((i / 16) * 255)])})`);
    Object.assign(paint, { fillStyle: scale, strokeStyle: this.theme.line, lineWidth: 1 });
    paint.fillRect(end + 8, y, 8, height);
    paint.strokeRect(end + 7.5, y - 0.5, 9, height + 1);
    const { low, high, limit = high } = panel, style = { size: 11, align: "left", alpha: 0.75, room: RIGHT - 22 };
    const [above, below] = limit < high ? ["≥", "≤"] : ["", ""]; // the colours stop before the values do
    const ends = [above + this.bound(panel, limit), below + this.bound(panel, limit < high ? -limit : low)];
    const [upper, lower] = panel.ends ?? ends;
    this.text(upper, end + 21, y + 6, style);
    this.text(lower, end + 21, y + height - 6, style);
  }

  bound(panel, value) {
    return (panel.signed && value > 0 ? "+" : "") + whole(value);
  }

  // The selected unit through the sentence: its state as the tint of the text, then a strip of bars for each role.
  drawUnit() {
    const { data, theme, roles, unit } = this, state = roles[0], note = this.annotation(unit);
    const title = [`unit ${unit} through the sentence`];
    if (data.layers.length > 1) title.push(`layer ${this.layer + 1}`);
    if (note) title.push(note);
    const left = this.narrow ? 8 : this.gutter, room = this.width - left - 8;
    this.text(title.join(" · "), left, this.unitTop - 11, { size: 13, weight: 700, align: "left", room });
    const reach = this.reachOf(state);
    const tint = (t) => {
      const value = this.value(state, unit, t), place = clamp(Math.round(127.5 * (1 + value / reach)), 0, 255);
      return missing(value) ? [0, 0, 0, 0] : [...channels(theme.signed[place]), 1];
    };
    if (this.lean) this.drawBand(this.unitTop, tint);
    else this.drawTokens(this.unitTop, tint);
    roles.forEach((panel, k) => this.drawRole(panel, this.rolesTop + k * this.role));
  }

  drawBand(y, tint) { // as `drawTokens`, without the tokens
    this.betweenGutters(y, this.band, () => {
      for (let t = this.from; t < this.to; t++) {
        const [r, g, b, alpha] = tint(t);
        this.paint.fillStyle = `rgba(${r}, ${g}, ${b}, ${alpha})`;
        this.paint.fillRect(this.x(t), y, this.column > 8 ? this.column - 1 : this.column, this.band);
      }
    });
  }

  // How far a role's strip reaches. A cell has no bound of its own: there it is this unit's largest value, and says so.
  reachOf(panel) {
    if (panel.bounded || panel.does !== "holds") return panel.high;
    return this.data.tokens.reduce((most, _, t) => Math.max(most, Math.abs(this.value(panel, this.unit, t)) || 0), 1e-6);
  }

  drawRole(panel, y) {
    const { paint, theme, column, time, gutter, unit } = this, colour = panel[theme.mode], reach = this.reachOf(panel);
    const numbers = this.role > 22 ? 11 : 0, top = y + numbers, height = this.role - 4 - numbers, middle = top + height / 2;
    const zero = panel.signed ? middle : top + height, scale = (panel.signed ? height / 2 : height) / reach;
    this.betweenGutters(y, this.role, () => {
      for (let t = this.from; t < this.to; t++) {
        const value = this.value(panel, unit, t), size = (value || 0) * scale;
        paint.fillStyle = colour;
        paint.globalAlpha = t === time ? 1 : 0.55;
        paint.fillRect(this.x(t), Math.min(zero, zero - size), this.barWidth(), Math.abs(size));
        paint.globalAlpha = 1;
        if (numbers) this.text(number(value), this.x(t) + column / 2, y + 5, { size: 10, align: "center", room: column - 2 });
      }
      paint.fillStyle = theme.line;
      paint.fillRect(gutter, zero, this.end - gutter, 1);
    });
    this.text(number(this.value(panel, unit, time)), gutter - 12, middle, { weight: 600, room: 38 });
    this.text(panel.symbol, gutter - 54, middle - 1, { size: 15, weight: "italic", family: "serif", colour });
    if (!this.narrow) this.text(shortLabel(panel), gutter - 80, middle, { colour, room: gutter - 82 });
    const ends = `${panel.signed ? "±" : "0 … "}${whole(reach)}`;
    this.text(ends, this.end + 8, middle, { size: 10, align: "left", alpha: 0.65, room: RIGHT - 10 });
  }

  frameColumn(top, bottom, strip) { // around the selected token and everything below it; slanted tokens stand at its head
    const { paint } = this, left = this.x(this.time) - 1, right = left + this.column + 1;
    const lean = strip ? this.lean : 0, knee = top + strip;
    if (right <= this.gutter + 1 || left >= this.width - RIGHT) return;
    Object.assign(paint, { strokeStyle: this.theme.primary, lineWidth: 2, lineJoin: "round" });
    const [up, down] = [[[left, bottom], [left, knee]], [[right, knee], [right, bottom]]];
    this.outline([...up, [left + lean, top + 1], [right + lean, top + 1], ...down]);
    paint.stroke();
  }
}
