// Where a model looks while it says one sequence for another: a row a token that was read, a column a token that is said.

import { clamp, partOf, x } from "../view.js";
import { missing } from "../words.js";
import { drawScale } from "./panel.js";
import { betweenGutters, channels, write } from "./pen.js";

export const PARTS = 20; // CSS pixels over the tokens, for the words that say which are read and which are said
const PANEL_MOST = 264, ROW_MOST = 20, LEGIBLE = 9; // of the panel and its rows, in CSS pixels; from which height on a row has its token
const GATE = { signed: false, low: 0, high: 1 };

const readOf = (data) => ({ begin: 0, end: data.said_from });
const saidOf = (data) => ({ begin: data.said_from, end: data.tokens.length });

// Where its rows lie; without attention a line's room, to say so.
export function attentionRows({ attention, said_from: count }, y, column) {
  if (!attention) return { y, pitch: 0, end: y + 40 };
  const pitch = clamp(Math.min(Math.floor(PANEL_MOST / count), Math.round(0.6 * column)), 1, ROW_MOST);
  return { y, pitch, end: y + pitch * count };
}

// The token that was read whose row is at this height, over a column that is said.
export function sourceAt({ attention: place }, data, time, py) {
  const within = place && data.attention && time >= data.said_from && py >= place.y && py < place.end;
  return within ? Math.floor((py - place.y) / place.pitch) : undefined;
}

// The words over the two parts of the columns.
export function drawParts(paint, view, data, theme) {
  for (const [name, columns] of [["reads", readOf(data)], ["says", saidOf(data)]]) {
    const part = partOf(view, columns);
    if (!part) continue;
    write(paint, theme, name, part.left, 7, { size: 12, weight: 700, align: "left", alpha: 0.8 });
    const from = part.left + paint.measureText(name).width + 8;
    paint.fillStyle = theme.line;
    if (part.end > from) paint.fillRect(from, 7, part.end - from, 1);
  }
}

// At view.attention; around what is known to be right an outline.
export function drawAttention(paint, view, data, theme) {
  const { y, pitch, end } = view.attention, { attention } = data, height = end - y;
  const name = (text, size, dy, style) => write(paint, theme, text, view.gutter - 12, y + dy, { size, room: view.gutter - 14, ...style });
  if (!attention) {
    name("no attention", 13, 10, { weight: 700, alpha: 0.65 });
    const text = "All that it is to know of what it read must fit into the one vector from which it begins.";
    write(paint, theme, text, view.left, y + 10, { align: "left", alpha: 0.8, room: view.right - view.left });
    return;
  }
  name(view.narrow ? "α" : "attention", 13, 10, { weight: 700 });
  if (!view.narrow && height > 34) name("where it looks", 11, 28, { alpha: 0.65 });
  if (!view.narrow && height > 50 && attention.aligned.some((place) => !missing(place))) name("▢ where it comes from", 11, 44, { alpha: 0.65 });
  if (height > 24) drawScale(paint, theme, GATE, view.end, y, height); // else its bounds lie over one another
  const part = partOf(view, saidOf(data));
  if (!part) return;
  betweenGutters(paint, part, y, height, () => {
    for (let t = part.from; t < part.to; t++)
      attention.looks[t - data.said_from].forEach((look, source) => {
        paint.fillStyle = `rgb(${channels(theme.gates[clamp(Math.floor(256 * look), 0, 255)])})`;
        paint.fillRect(x(part, t), y + source * pitch, part.column - (part.column >= 8), pitch - (pitch >= 8));
      });
  });
  betweenGutters(paint, part, y - 1, height + 2, () => {
    if (view.time < data.said_from) { // who looks at it
      Object.assign(paint, { lineWidth: 2, strokeStyle: theme.primary });
      paint.strokeRect(part.left, y + view.time * pitch - 0.5, part.end - part.left - 1, pitch);
    }
    for (let t = part.from; t < part.to; t++) {
      const source = attention.aligned[t - data.said_from];
      if (!missing(source)) outlined(paint, theme, x(part, t), y + source * pitch, part.column - 1, pitch - 1);
    }
  });
  drawSources(paint, part, view, data, theme);
}

function outlined(paint, theme, left, top, width, height) { // a halo, for any colour behind it
  for (const [thick, colour] of [[3.5, theme.page], [1.5, theme.ink]]) {
    Object.assign(paint, { lineWidth: thick, strokeStyle: colour });
    paint.strokeRect(left + 0.25, top + 0.25, width - 0.5, height - 0.5);
  }
}

// Which token a row is; where rows are low, only of the one at which the selected step looks most.
function drawSources(paint, part, { attention: { y, pitch }, time }, data, theme) {
  const looks = data.attention.looks[time - data.said_from] ?? [], most = looks.indexOf(Math.max(...looks));
  for (let source = 0; source < data.said_from; source++) {
    const strong = source === most || source === time;
    if (pitch < LEGIBLE && !strong) continue;
    const style = strong ? { weight: 700, colour: theme.primary } : { alpha: 0.75 };
    write(paint, theme, data.labels[source], part.left - 6, y + (source + 0.5) * pitch, { size: 11.5, family: theme.code, ...style });
  }
}
