// A panel: a row a unit, a column a token. Its place is {panel, units, y, height, pitch, rows, first}: the units of its rows
// in their order, of which `rows` from `first` on are in view.

import { LEVELS, NAN } from "../constants.js";
import { clamp, partOf, pool, RIGHT, x } from "../view.js";
import { valueOf } from "../wire.js";
import { number, whole } from "../words.js";
import { betweenGutters, channels, inkOn, setFont, write } from "./pen.js";

const NUMBERS = 20; // the width of a column of the units' numbers, of which there are two

const tableOf = (panel, theme) => (panel.signed ? theme.signed : theme.gates);

// From a code to its place in the colour table. A signed panel may have its last colour at a limit below its bound.
function shader({ signed, high, limit = high }) {
  const gain = (signed ? high / limit : 1) / 256, middle = signed ? LEVELS / 2 : 0, zero = signed ? 127.5 : 0;
  return (code) => clamp(Math.floor(zero + (code - middle) * gain), 0, 255);
}

// Its values, as colours with faint lines between the columns.
export function drawField(paint, view, place, theme, more = () => {}) {
  const { y, height } = place;
  betweenGutters(paint, view, y, height, () => {
    drawCells(paint, view, place, theme);
    paint.fillStyle = theme.page;
    paint.globalAlpha = 0.45;
    if (view.column >= 8) for (let t = view.from; t <= view.to; t++) paint.fillRect(x(view, t) - 1, y, 1, height);
    more();
    paint.globalAlpha = 1;
  });
}

// In the gate map: with lines between the rows, numbers where there is room for them; the first of a band with its name and
// its scale.
export function drawPanel(paint, whole, place, theme) {
  const { panel, units, y, height, pitch, rows, first } = place, { dpr } = whole, view = partOf(whole, panel);
  if (place.names) {
    drawPanelName(paint, whole, place, theme);
    drawScale(paint, theme, panel, (place.alone && view ? view : whole).end, y, height);
  }
  if (!view) return;
  drawField(paint, view, place, theme, () => {
    if (pitch >= 8 * dpr) for (let r = 1; r < rows; r++) paint.fillRect(view.left, y + (r * pitch) / dpr - 1, view.width, 1);
    paint.globalAlpha = 1;
    if (view.column >= 30 && pitch >= 13 * dpr) drawNumbers(paint, view, place, theme);
  });
  if (panel.layer === view.layer) frameRow(paint, view, place, theme, view.unit);
  drawUnitNumbers(paint, view, place, theme);
  if (rows < units.length) { // zoomed: where in the units this window lies
    paint.fillStyle = theme.primary;
    const share = height / units.length;
    paint.fillRect(view.end + 2, y + first * share, 3, Math.max(6, rows * share));
  }
}

let small; // a canvas of one pixel a value, before it is enlarged

// One pixel a value into a small image, which the canvas then enlarges; where rows outnumber pixels, their mean.
function drawCells(paint, view, { panel, units, y, pitch, rows, first }, theme) {
  const { codes, size } = panel, { from } = view, count = view.to - from, table = tableOf(panel, theme), shade = shader(panel);
  const several = pool(pitch), lines = Math.ceil(rows / several);
  const image = paint.createImageData(count, lines), pixels = new Uint32Array(image.data.buffer);
  for (let t = 0; t < count; t++) {
    const column = (from + t) * size;
    for (let line = 0; line < lines; line++) {
      const begin = first + line * several, end = Math.min(begin + several, units.length);
      let sum = 0, known = 0;
      for (let row = begin; row < end; row++) {
        const code = codes[column + units[row]];
        if (code !== NAN) { sum += code; known++; }
      }
      if (known) pixels[line * count + t] = table[shade(sum / known)]; // no value: the page shows through
    }
  }
  small ??= document.createElement("canvas");
  Object.assign(small, { width: count, height: lines }); // which also clears it
  small.getContext("2d").putImageData(image, 0, 0);
  paint.imageSmoothingEnabled = false;
  paint.drawImage(small, x(view, from), y, count * view.column, (lines * Math.max(1, pitch)) / view.dpr);
}

function drawNumbers(paint, view, { panel, units, y, pitch, rows, first }, theme) { // in cells large enough to be read
  const table = tableOf(panel, theme), { codes, size } = panel, shade = shader(panel);
  for (let row = 0; row < rows; row++)
    for (let t = view.from; t < view.to; t++) {
      const unit = units[first + row], code = codes[t * size + unit];
      if (code === NAN) continue;
      const style = { size: 11, align: "center", colour: inkOn(channels(table[shade(code)])), room: view.column - 2 };
      const middle = y + ((row + 0.5) * pitch) / view.dpr;
      write(paint, theme, number(valueOf(panel, unit, t)), x(view, t) + view.column / 2, middle, style);
    }
}

export function frameRow(paint, view, { units, y, pitch, rows, first }, theme, unit) {
  const row = units.indexOf(unit) - first, { dpr } = view;
  if (row < 0 || row >= rows) return;
  const thick = Math.max(2, pitch / dpr), room = thick > 8 ? 0 : 1.5;
  const frame = [view.left - 2, y + (row * pitch) / dpr - room, view.end - view.left + 3, thick + 2 * room];
  for (const [width, colour] of [[3.5, theme.page], [1.5, theme.ink]]) { // a halo, for any colour behind it
    Object.assign(paint, { lineWidth: width, strokeStyle: colour });
    paint.strokeRect(...frame);
  }
}

// Which unit a row is: where rows are low, in two columns that take turns; where they are lower, the selected one only.
function drawUnitNumbers(paint, view, { panel, units, y, pitch, rows, first }, theme) {
  const high = pitch / view.dpr, columns = high >= 10 ? 1 : 2, all = high >= 4.5;
  for (let row = 0; row < rows; row++) {
    const unit = units[first + row], selected = panel.layer === view.layer && unit === view.unit;
    if (!all && !selected) continue;
    const right = view.left - 6 - (all ? row % columns : 0) * NUMBERS, middle = y + (row + 0.5) * high;
    const style = selected ? { size: 11, weight: 700, colour: theme.primary } : { size: 9.5, alpha: 0.7 };
    write(paint, theme, unit, right, middle + 0.5, { ...style, room: NUMBERS - 3 });
  }
}

function drawPanelName(paint, view, { panel, y, height, alone }, theme) {
  setFont(paint, 11, "italic", "serif");
  const end = view.gutter - 12 - 2 * NUMBERS, symbol = end - paint.measureText(panel.index).width;
  const quiet = { size: 11, alpha: 0.65 }, colour = panel[theme.mode];
  if (view.narrow) return drawSymbol(paint, theme, panel, symbol, y + 12, colour);
  write(paint, theme, panel.label, end, y + 10, { size: 13, weight: 700, colour, room: end - 2 });
  drawSymbol(paint, theme, panel, symbol, y + 28, theme.ink, 0.8);
  const arrow = /[→←]$/.test(panel.layer_label) ? { size: 15, weight: 700, colour } : quiet; // a direction must not be missed
  if (panel.layer_label) write(paint, theme, panel.layer_label, symbol - 20, y + 29, arrow);
  if (height > 46 && alone && panel.mean !== undefined) write(paint, theme, `mean ${number(panel.mean)}`, end, y + 46, { ...quiet, room: end - 2 });
}

function drawSymbol(paint, theme, panel, x, y, colour, alpha = 1) { // x: where the symbol ends and its subscript begins
  const style = { weight: "italic", family: "serif", colour, alpha };
  write(paint, theme, panel.symbol, x, y, { ...style, size: 16 });
  write(paint, theme, panel.index, x, y + 4, { ...style, size: 11, align: "left" });
}

// The colours of a panel from below, right of x. `ends` are what is written at them; else the values.
export function drawScale(paint, theme, panel, x, y, height, ends = null) {
  const table = tableOf(panel, theme), scale = paint.createLinearGradient(0, y + height, 0, y);
  for (let i = 0; i <= 16; i++) scale.addColorStop(i / 16, `rgb(${channels(table[Math.round((i / 16) * 255)])})`);
  Object.assign(paint, { fillStyle: scale, strokeStyle: theme.line, lineWidth: 1 });
  paint.fillRect(x + 8, y, 8, height);
  paint.strokeRect(x + 7.5, y - 0.5, 9, height + 1);
  const { low, high, limit = high } = panel, style = { size: 11, align: "left", alpha: 0.75, room: RIGHT - 22 };
  const [above, below] = limit < high ? ["≥", "≤"] : ["", ""]; // the colours stop before the values do
  const bound = (value) => (panel.signed && value > 0 ? "+" : "") + whole(value);
  const [upper, lower] = ends ?? [above + bound(limit), below + bound(limit < high ? -limit : low)];
  write(paint, theme, upper, x + 21, y + 6, style);
  write(paint, theme, lower, x + 21, y + height - 6, style);
}
