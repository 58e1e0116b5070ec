// Several models side by side as a picture: the sentence with a line a model in each chart, then a block of gate maps for
// each. All of it shares one window of tokens. Where a model would get too narrow a column, as on a phone, each has a row of
// its own instead: `stacked`.
//
// What is drawn is `compared`: {header, words, models}, as compare.js makes it of a message.

import { DASHES } from "../constants.js";
import { chosen, clamp, GAP, leanAt, lineAt, RIGHT, rows, timeAt, x } from "../view.js";
import { missing, number, shortLabel, whole } from "../words.js";
import { barWidth, drawLine, markBeyond } from "./lines.js";
import { drawField, drawScale, frameRow } from "./panel.js";
import { begin, betweenGutters, setFont, write } from "./pen.js";
import { drawTokens, laidOut, lossScale, surprise } from "./tokens.js";
import { drawTree } from "./tree.js";

export const LEFT = 130, TITLE = 26, BETWEEN = 16; // CSS pixels
const CHART = 64, CAPTION = 18, NARROWEST = 96;
const STACKED = { left: 3, right: 44, title: 24, share: 110 }; // gutters and heights where models are stacked

// The comparison in a canvas of this `width`: see view.js. The view is that of the sentence; `blockView` has those of the
// models' maps. `units` are those that each model shows.
export function comparisonView(paint, { header, words, models }, theme, { width, height, dpr, zoom, time, unit, model }) {
  const each = (start, stop) => (stop - start - (models.length - 1) * BETWEEN) / models.length;
  const stacked = each(LEFT, width - RIGHT) < NARROWEST;
  const [left, right] = stacked ? [STACKED.left, width - STACKED.right] : [LEFT, width - RIGHT];
  const { column, strip, lean, tree = 0 } = laidOut(paint, theme, words, right - left, zoom, dpr);
  const above = stacked ? STACKED.title : 0; // a title over what it names, where there is no gutter beside it
  const charts = header.charts.map((chart, k) => ({ chart, y: strip + 10 + above + k * (CHART + GAP + above) }));
  const mapsTop = strip + 10 + charts.length * (CHART + GAP + above) + 14;
  let y = mapsTop + (stacked ? 0 : TITLE);
  const fair = clamp((height - y) / Math.max(1, header.slots.length) - CAPTION, 64, 190);
  const share = stacked ? STACKED.share : fair;
  const units = models.map(({ data }, k) => data.units.length ?
    chosen(data.units[0], data.telling[0], share, isChosen(models, k, model) ? unit : null) : []);
  const slots = header.slots.map((slot) => {
    const top = y;
    const drawn = models.map(({ data }, k) => {
      const panel = data.panels.find((panel) => panel.slot === slot.key);
      return panel ? { panel, units: units[k], first: 0, ...rows(units[k].length, share, 1, dpr) } : { height: 40 };
    });
    const tallest = Math.max(...drawn.map((place) => place.height));
    y += above;
    const places = drawn.map((place) => { // of each model, whether it has a panel or not
      const here = { ...place, y: y + CAPTION, height: stacked || place.panel ? place.height : tallest };
      if (stacked) y += CAPTION + here.height + 6;
      return here;
    });
    if (!stacked) y += CAPTION + tallest + 6;
    return { slot, y: top + CAPTION, places };
  });
  const blockWidth = stacked ? right - left : each(left, right);
  return {
    width, height: y + 4, dpr, stacked, left, right, column, strip, lean, tree, blockWidth, mapsTop, charts, slots, units,
    time, unit, model,
  };
}

export const blockLeft = (view, k) => view.left + (view.stacked ? 0 : Math.round(k * (view.blockWidth + BETWEEN)));

// The view of one model's maps: the tokens that the sentence shows, in a block of its own.
export function blockView(view, k) {
  if (view.stacked) return view;
  const { from, to, blockWidth } = view, left = blockLeft(view, k), column = Math.min(blockWidth / (to - from), view.column);
  const block = { ...view, left, right: left + blockWidth, column, scrolled: from * column };
  return { ...block, end: Math.min(block.right, x(block, to)) };
}

// Whether the selected unit is one of this model's.
export const isChosen = (models, k, selected) => k === selected || models[k].kin === models[selected].kin;

// ---- drawing ---------------------------------------------------------------------------------------------------------

// Paint it, scrolled as `scrolledTo` says.
export function drawComparison(paint, view, compared, theme) {
  const { header, words, models } = compared;
  begin(paint, view, theme);
  const { loss } = models[header.reference], most = lossScale(header.level);
  drawTokens(paint, view, words, theme, view.tree, (t) => surprise(theme, loss[t], most));
  const { data, title } = models[view.model]; // whose lines the tree has
  if (view.tree && data.panels.length) drawTree(paint, view, words, theme, { ...data, whose: `in ${title}` });
  if (!view.stacked) write(paint, theme, header.column, LEFT - 12, view.strip - 12, { alpha: 0.65 });
  if (header.said_from) part(paint, view, theme, header.said_from, 0, view.mapsTop - 18);
  for (const { chart, y } of view.charts) drawChart(paint, view, compared, theme, chart, y);
  frame(paint, view, theme, 0, view.mapsTop - 18);
  for (const { slot, y } of view.slots) drawName(paint, view, theme, slot.label, slot.hint, y);
  for (const model of models) drawModel(paint, view, compared, theme, model);
  for (const { places } of view.slots) {
    const drawn = places.filter(({ panel }) => panel), most = Math.max(...drawn.map(({ height }) => height));
    if (!drawn.length) continue;
    const height = Math.min(view.stacked ? drawn[0].height : most, 120);
    drawScales(paint, view, theme, drawn.map(({ panel }) => panel), drawn[0].y, height);
  }
}

function drawChart(paint, view, { header, models }, theme, { title, unit, low, high, log, lines, beside }, y) {
  const bottom = y + CHART, place = (v) => (log ? Math.log10(Math.max(v, low)) : v);
  const [from, to] = [place(low), place(high)];
  const at = (value) => bottom - clamp((place(value) - from) / (to - from), 0, 1) * (CHART - 4);
  paint.fillStyle = theme.line;
  paint.fillRect(view.left, Math.round(at(Math.max(low, 0))), view.end - view.left, 1);
  betweenGutters(paint, view, y - 2, CHART + 3, () => {
    lines.forEach((line, k) => {
      if (!line.length) return;
      const colour = models[k][theme.mode], width = k === header.reference ? 2.4 : 1.6;
      drawLine(paint, view, line, at, { colour, width, dash: DASHES[k] });
      markBeyond(paint, view, line, high, theme, { y, colour, shift: 12 * k });
    });
    paint.fillStyle = theme.ink; // a stroke a token, as on Watch
    for (let t = view.from; t < view.to; t++)
      if (!missing(beside[t])) paint.fillRect(x(view, t), at(beside[t]) - 1, barWidth(view), 2);
  });
  drawName(paint, view, theme, title, unit, y + 2);
  if (beside.length && !view.stacked) {
    write(paint, theme, header.beside, LEFT - 12, y + 44, { size: 11 });
    paint.fillStyle = theme.ink;
    paint.fillRect(LEFT - 12 - paint.measureText(header.beside).width - 20, y + 43, 14, 2);
  }
  for (const [value, dy] of [[high, 6], [low, CHART - 5]]) {
    const text = number(value, Number.isInteger(value) ? 0 : 1);
    write(paint, theme, text, view.end + 8, y + dy, { size: 11, align: "left", alpha: 0.75, room: RIGHT - 10 });
  }
}

function drawName(paint, { stacked, left }, theme, name, hint, y) { // of a chart or a row of maps; colours are the models' here
  const style = { size: 13, weight: 700 }, quiet = { size: 11, alpha: 0.65 };
  if (!stacked) {
    write(paint, theme, name, LEFT - 12, y + 10, style);
    hint.split("\n").forEach((text, k) => write(paint, theme, text, LEFT - 12, y + 27 + 14 * k, quiet));
    return;
  }
  write(paint, theme, name, left, y - 12, { ...style, align: "left" });
  const end = left + paint.measureText(name).width + 8;
  write(paint, theme, hint.replaceAll("\n", " "), end, y - 12, { ...quiet, align: "left" });
}

function drawModel(paint, view, { header, models }, theme, model) {
  const k = model.number, colour = model[theme.mode], block = blockView(view, k), { left, right } = block;
  const shown = model.subtracted ? `${model.title} − ${models[header.reference].title}` :
    header.difference ? `${model.title} as it is` : model.title;
  const title = (from, to, y, room) => { // its line, and its name below; or beside each of its maps
    Object.assign(paint, { strokeStyle: colour, lineWidth: 3 });
    paint.setLineDash(DASHES[k]);
    paint.beginPath();
    paint.moveTo(from, y);
    paint.lineTo(to, y);
    paint.stroke();
    paint.setLineDash([]);
    setFont(paint, 13, 700, theme.font);
    const [at, below] = view.stacked ? [to + 6, y] : [from, y + 14], name = ending(paint, shown, room);
    write(paint, theme, name, at, below, { align: "left", colour, size: 13, weight: 700 });
    return at + paint.measureText(name).width + 10;
  };
  if (!view.stacked) title(left, right, view.mapsTop - 4, view.blockWidth);
  for (const { slot, places } of view.slots) {
    const place = places[k], { y, height } = place;
    const begin = view.stacked ? title(left, left + 22, y - 9, view.blockWidth / 2) : left;
    if (!place.panel) drawAbsent(paint, block, theme, model.absent[slot.key], y, height);
    else {
      drawField(paint, block, place, theme);
      Object.assign(paint, { strokeStyle: theme.line, lineWidth: 1 });
      paint.strokeRect(left - 0.5, y - 0.5, block.end - left + 1, height + 1);
      if (isChosen(models, k, view.model)) frameRow(paint, block, place, theme, view.unit);
      drawCaption(paint, block, theme, model, place.panel, y, begin);
      if (header.said_from) part(paint, block, theme, header.said_from, y, y + height);
      frame(paint, block, theme, y - 2, y + height + 2);
    }
  }
}

function drawCaption(paint, { end }, theme, model, panel, y, left) { // its name in this cell, its colours' reach, a number
  const most = model.differences[panel.role], alpha = 0.7;
  const difference = missing(most) ? "Δ" : `max |Δ| ${most ? most.toPrecision(2) : 0}`;
  const told = panel.difference ? difference : `mean ${number(panel.mean)}`;
  const serif = { size: 13, weight: "italic", family: "serif" };
  setFont(paint, serif.size, serif.weight, serif.family);
  const begin = left + paint.measureText(panel.symbol).width + 6;
  write(paint, theme, panel.symbol, left, y - 9, { ...serif, align: "left", colour: panel[theme.mode] });
  setFont(paint, 11, "", theme.font);
  const room = end - begin - paint.measureText(told).width - 10, reach = panel.signed ? ` ±${whole(panel.limit)}` : "";
  write(paint, theme, told, end, y - 8, { size: 11, alpha });
  const names = [shortLabel(panel) + reach, reach.trim()];
  setFont(paint, 11, "", theme.font);
  const name = names.find((text) => paint.measureText(text).width <= room);
  if (name) write(paint, theme, name, begin, y - 8, { size: 11, align: "left", alpha });
}

function ending(paint, text, room) { // as much of its end as there is room for: names of models often begin alike
  if (paint.measureText(text).width <= room) return text;
  let letters = [...text];
  while (letters.length > 1 && paint.measureText(`…${letters.join("")}`).width > room) letters = letters.slice(1);
  return `…${letters.join("")}`;
}

function drawAbsent(paint, { left, right }, theme, said, y, height) { // hatched, so that nobody takes it for zero
  paint.save();
  paint.beginPath();
  paint.rect(left, y, right - left, height);
  paint.clip();
  Object.assign(paint, { strokeStyle: theme.line, lineWidth: 1 });
  paint.beginPath();
  for (let at = left - height; at < right; at += 9) {
    paint.moveTo(at, y + height);
    paint.lineTo(at + height, y);
  }
  paint.stroke();
  setFont(paint, 12, "", theme.font);
  const lines = wrap(paint, said, right - left - 24);
  const width = Math.max(...lines.map((line) => paint.measureText(line).width));
  const [centre, middle] = [(left + right) / 2, y + height / 2];
  paint.fillStyle = theme.page;
  paint.fillRect(centre - width / 2 - 8, middle - 8 * lines.length - 3, width + 16, 16 * lines.length + 6);
  lines.forEach((line, k) => {
    write(paint, theme, line, centre, middle + 16 * (k - (lines.length - 1) / 2), { align: "center", alpha: 0.8 });
  });
  paint.restore();
}

function wrap(paint, text, room) { // in the font that is set
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (lines.at(-1) && paint.measureText(longer).width > room) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}

function drawScales(paint, view, theme, panels, y, height) { // one for gates and one for signed values, whichever there are
  const kinds = [false, true].map((signed) => panels.filter((panel) => panel.signed === signed));
  const shown = kinds.filter((some) => some.length), each = (height - 8 * (shown.length - 1)) / shown.length;
  shown.forEach((some, k) => {
    const [first] = some, alike = some.every(({ limit, difference }) => limit === first.limit && difference === first.difference);
    // Where maps reach differently far, it says what the colours mean, and the captions say how much.
    drawScale(paint, theme, first, view.right, y + k * (each + 8), each, alike ? null : ["+", "−"]);
  });
}

function part(paint, view, theme, time, top, bottom) { // what is read from what is said
  if (time <= view.from || time >= view.to) return;
  paint.fillStyle = theme.ink;
  paint.fillRect(x(view, time) - 2, top, 2, bottom - top);
}

function frame(paint, view, theme, top, bottom) { // around the selected token's column
  const left = x(view, view.time) - 1, width = Math.max(3, view.column + 1);
  if (left < view.left - 2 || left > view.right) return;
  const knee = top === 0 && view.lean ? view.strip : top; // slanted words are not over their column
  Object.assign(paint, { strokeStyle: theme.primary, lineWidth: 1.5 });
  paint.strokeRect(left, knee + 0.75, width, bottom - knee - 1.5);
}

// What lies at a point of the canvas: the token, and in a map the model and the unit; null where nothing does.
export function comparisonAt(view, { words, models }, px, py) {
  const inside = (from, to) => px >= from && px < to;
  if (py < view.mapsTop - 14) {
    const lean = leanAt(view, py), time = timeAt(view, px - lean);
    return inside(view.left, view.end + lean) && time >= 0 && time < words.labels.length ? { time } : null;
  }
  const inBlock = (k) => inside(blockLeft(view, k), blockLeft(view, k) + view.blockWidth);
  const over = (place, k) => inBlock(k) && py >= place.y && py < place.y + place.height;
  const slot = view.slots.find(({ places }) => places.some(over));
  const model = slot ? slot.places.findIndex(over) : models.findIndex((_, k) => inBlock(k));
  if (model < 0) return null;
  const time = timeAt(blockView(view, model), px);
  if (time < view.from || time >= view.to) return null;
  const place = slot?.places[model];
  if (!place?.panel) return slot || !view.stacked ? { time, model } : { time };
  const { units } = lineAt(place, py, view.dpr); // a line is the mean of these
  return units.length ? { time, model, panel: place.panel, units, unit: units[0] } : { time, model };
}
