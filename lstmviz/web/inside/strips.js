// The sentence, each token tinted by what the selected unit holds there, and all units of a layer at the selected token: two
// strips to choose from.

import { begin, channels, inkOn, write } from "../paint/pen.js";
import { drawTokens, frameColumn, laidOut } from "../paint/tokens.js";
import { along, clamp, leanAt, RIGHT, timeAt, x } from "../view.js";
import { missing } from "../words.js";

const [LEAST, WIDEST, HIGHEST, LOW] = [6, 34, 22, 13]; // CSS pixels of a unit's cell: its width, and its height in one row or in several
const BAND = 10; // of what is held under the rows of an image

// What is drawn of a sentence: see view.js. `whole` is how wide all of its columns are, in CSS pixels.
export function sentenceView(paint, theme, words, width, dpr) {
  const view = { width, dpr, left: 2, right: width - (words.image ? 2 : RIGHT), gap: null, ...laidOut(paint, theme, words, width - RIGHT - 2, 1, dpr) };
  return { ...view, height: view.strip + (words.image ? BAND : 0) + 4, whole: along(view, words.labels.length) + RIGHT + 2 };
}

// The colour of what is held, as [red, green, blue]: blue below 0, red above it, at most `reach`.
const held = (theme, value, reach) => channels(theme.signed[clamp(Math.round(127.5 * (1 + value / reach)), 0, 255)]);

export function drawSentence(paint, view, words, valueAt, reach, time, theme) {
  const tint = (t) => (missing(valueAt(t)) ? [0, 0, 0, 0] : [...held(theme, valueAt(t), reach), 1]);
  begin(paint, view, theme);
  drawTokens(paint, view, words, theme, 2, tint);
  const bottom = view.height - 2;
  if (words.image) for (let t = view.from; t < view.to; t++) {
    paint.fillStyle = `rgb(${tint(t).slice(0, 3)})`;
    paint.fillRect(x(view, t), bottom - BAND + 2, view.column - 1, BAND - 2);
  }
  frameColumn(paint, { ...view, time }, theme, 1, bottom, view.strip);
}

// Which token is at a place of the strip; null where none is.
export function timeIn(view, words, left, top) {
  const time = timeAt(view, left - leanAt(view, top - 2));
  return left >= view.left && time >= 0 && time < words.labels.length ? time : null;
}

// A cell a unit, in as many rows as it takes.
export function unitsView(size, width, dpr) {
  const rows = Math.ceil((size * LEAST) / Math.max(LEAST, width - 4)), across = Math.ceil(size / rows);
  const cell = Math.min(WIDEST, Math.floor(((width - 4) / across) * dpr) / dpr), high = rows > 1 ? LOW : HIGHEST;
  return { width, height: rows * high + 4, dpr, size, across, cell, high };
}

export function drawUnits(paint, view, values, reach, unit, theme) {
  const { across, cell, high } = view, place = (k) => [2 + (k % across) * cell, 2 + Math.floor(k / across) * high];
  begin(paint, view, theme);
  values.forEach((value, k) => {
    const [left, top] = place(k);
    paint.fillStyle = theme.line; // where it holds nothing the cell is seen by this line
    paint.fillRect(left, top + high - 2, cell - (cell > 4), 1);
    const colour = missing(value) ? null : held(theme, value, reach);
    if (colour) {
      paint.fillStyle = `rgb(${colour})`;
      paint.fillRect(left, top, cell - (cell > 4), high - (high > 4));
    }
    if (cell >= 16) write(paint, theme, `${k}`, left + cell / 2, top + high / 2, { size: 11, align: "center", colour: colour ? inkOn(colour) : theme.ink, room: cell - 2 });
  });
  const [left, top] = place(unit);
  Object.assign(paint, { strokeStyle: theme.primary, lineWidth: 2 });
  paint.strokeRect(left, top, cell - (cell > 4), high - (high > 4));
}

// Which unit is at a place; null where none is.
export function unitIn({ size, across, cell, high }, left, top) {
  const [column, row] = [Math.floor((left - 2) / cell), Math.floor((top - 2) / high)], unit = row * across + column;
  return column >= 0 && column < across && row >= 0 && unit < size ? unit : null;
}
