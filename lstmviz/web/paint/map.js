// The gate map as a picture. Top to bottom, on shared columns of one token each: the tokens, their losses, one panel a gate,
// and the selected unit through the sentence. Where a layer has more units than can be told apart, a panel shows those that
// tell most. The gutters left and right stay where they are while the columns scroll. Where one sequence is said for another,
// the columns of what is said stand behind a gap, and where it looks over the gates.

import { lookOf } from "../say.js";
import { chosen, clamp, GAP, leanAt, lineAt, partOf, RIGHT, rows, timeAt, x } from "../view.js";
import { drawAnswer } from "./answer.js";
import { BEGUN, drawBegun } from "./begun.js";
import { attentionRows, drawAttention, drawParts, PARTS, sourceAt } from "./attention.js";
import { drawGain, GAIN } from "./gain.js";
import { drawLoss, LOSS } from "./loss.js";
import { drawPanel } from "./panel.js";
import { begin, rgb, write } from "./pen.js";
import { drawTokens, frameColumn, laidOut, lossScale, surprise } from "./tokens.js";
import { bandOf, drawTree } from "./tree.js";
import { drawUnit } from "./unit.js";

const LOWEST = 100, HIGHEST = 260; // of a panel, in CSS pixels
const ABOVE = 240; // what stands over the map on its page, when that is not scrolled
const NARROW = 640;
const BETWEEN = 52; // CSS pixels of the gap, which is the gutter of what is said

export const panelsOf = (data, layer) => data.panels.filter((panel) => panel.layer === layer);

// What there is to say of a unit: the server annotates the layer it thinks selected.
export const annotationOf = (data, unit, layer) =>
  layer === data.selection.layer ? data.annotation[String(unit)] ?? null : null;

// The map in a canvas of this `width`, for a `window` of so many CSS pixels of height: see view.js. `zoom` is of its columns
// and of its rows, `first` layer -> the first row in view, where a panel is zoomed.
export function mapView(paint, data, theme, { width, window, dpr, zoom, first, time, unit, layer }) {
  const narrow = width < NARROW; // names go, symbols stay
  const gutter = narrow ? 92 : 162, right = width - RIGHT;
  const gap = data.said_from ? { at: data.said_from, width: BETWEEN } : null, head = gap ? PARTS : 0;
  const { column, strip, lean, tree = 0 } = laidOut(paint, theme, data, right - gutter - (gap?.width ?? 0), zoom[0], dpr);
  const lossTop = head + strip + 6, gainTop = lossTop + LOSS + GAP;
  const rank = ({ does, role }) => (does === "holds" ? 0 : role === "hidden" ? 1 : 2); // states first: the gates explain them
  const roles = [...panelsOf(data, layer)].sort((a, b) => rank(a) - rank(b));
  const band = lean || data.image ? 12 : bandOf(data) || strip; // of the selected unit: what does not fit is not drawn again
  const role = column >= 32 ? 34 : 22; // the height of a strip, with numbers over its bars or without
  const own = 22 + band + 6 + roles.length * role + 4;
  const begunTop = gainTop + (data.beside ? GAIN + GAP : 0), above = begunTop + (data.begun?.depends.length ? BEGUN + GAP : 0);
  const attention = gap ? attentionRows(data, above, column) : null;
  const bands = banded(data.panels.filter((panel) => panel.drawn)), top = attention ? attention.end + GAP : above;
  const room = data.height || window - ABOVE - own;
  const share = clamp((room - top) / Math.max(1, bands.length) - GAP, LOWEST, HIGHEST);
  const units = new Map(data.layers.map((each, k) =>
    [each, chosen(data.units[k], data.telling?.[k], share, each === layer ? unit : null)]));
  let y = top;
  const panels = bands.flatMap((band) => {
    const places = band.map((panel, k) => {
      const shown = units.get(panel.layer);
      return { panel, units: shown, y, first: 0, names: k === 0, alone: band.length === 1, ...rows(shown.length, share, zoom[1], dpr) };
    });
    y += Math.max(...places.map(({ height }) => height)) + GAP;
    return places;
  });
  const unitTop = y + 18, rolesTop = unitTop + band + 6;
  return rowsFrom(first, {
    width, height: rolesTop + roles.length * role + 4, dpr, narrow, gutter, left: gutter, right, column, strip, lean, tree, gap,
    head, time, unit, layer, units, panels, panelsEnd: y - GAP, lossTop, gainTop, begunTop, attention, roles, role,
    band, unitTop, rolesTop,
  });
}

// Panels in bands: beside a role of who reads forward stands that of who says. Bands that are so filled go first.
export function banded(panels) {
  const bands = [];
  for (const panel of panels) {
    const band = bands.findLast((other) => other[0].role === panel.role && !other[0].reverse &&
      other.every(({ begin, end }) => end <= panel.begin || panel.end <= begin));
    if (band) band.push(panel);
    else bands.push([panel]);
  }
  return bands.sort((a, b) => b.length - a.length);
}

const covers = ({ begin, end }, time) => begin <= time && time < end;

// Whose values stand at a column: this layer's, or those of the first that has any there.
export const layerAt = (data, layer, time) =>
  [layer, ...data.layers].find((each) => panelsOf(data, each).some((panel) => covers(panel, time))) ?? layer;

// The view with other rows in view: layer -> the first of them.
export const rowsFrom = (first, view) => ({
  ...view,
  panels: view.panels.map((place) =>
    ({ ...place, first: clamp(first[place.panel.layer] ?? 0, 0, place.units.length - place.rows) })),
});

// Paint it, scrolled as `scrolledTo` says. Where the perplexity leaves its strip: see `markBeyond`.
export function drawMap(paint, view, data, theme) {
  begin(paint, view, theme);
  const most = lossScale(data.level), { head } = view;
  const looked = (t) => lookOf(data, view.time, t);
  drawTokens(paint, view, data, theme, head + view.tree, (t) =>
    looked(t) === null ? surprise(theme, data.nll[t], most) : [...rgb(theme.likely), 0.08 + 0.77 * looked(t)]);
  write(paint, theme, data.column, view.gutter - 12, head + view.strip - 12, { alpha: 0.65 });
  if (view.tree) drawTree(paint, view, data, theme, { ...data, panels: panelsOf(data, view.layer) });
  const beyond = (data.answer ? drawAnswer : drawLoss)(paint, view, data, theme);
  if (data.beside) drawGain(paint, view, data, theme);
  if (data.begun?.depends.length) drawBegun(paint, view, data, theme);
  if (view.gap) drawParts(paint, view, data, theme);
  if (view.attention) drawAttention(paint, view, data, theme);
  for (const place of view.panels) drawPanel(paint, view, place, theme);
  const title = [`unit ${view.unit} through the ${data.whole}`], note = annotationOf(data, view.unit, view.layer);
  if (data.layers.length > 1) title.push(panelsOf(data, view.layer)[0].layer_label);
  if (note) title.push(note);
  drawUnit(paint, view, data, theme, title.join(" · "));
  frameColumn(paint, view, theme, head, view.panelsEnd, view.strip);
  frameColumn(paint, view, theme, view.unitTop, view.height - 1, view.lean ? 0 : view.band);
  return beyond;
}

export function placeAt(view, px, py) {
  const time = timeAt(view, px), over = view.panels.filter(({ y, height }) => py >= y && py < y + height);
  return over.find(({ panel }) => covers(panel, time)) ?? over[0];
}

// What lies at a point of the canvas: a role's name, a token's column, or one unit of it; null where nothing does.
export function mapAt(view, data, px, py) {
  const place = placeAt(view, px, py);
  if (px < view.gutter) return { role: place?.panel ?? view.roles[Math.floor((py - view.rolesTop) / view.role)] };
  const lean = leanAt(view, py - view.head), time = timeAt(view, px - lean);
  const inside = px < view.width - RIGHT || lean > 0, between = view.gap?.at === time && px - lean < x(view, time);
  if (!inside || between || time < 0 || time >= data.tokens.length) return null;
  if (!place || !covers(place.panel, time)) return { time, source: sourceAt(view, data, time, py) };
  const { panel } = place, { row, units } = lineAt(place, py, view.dpr); // a line is the mean of these
  if (!units.length) return { time };
  const unit = panel.layer === view.layer && units.includes(view.unit) ? view.unit : units[0];
  return { time, panel, row, unit, units, layer: panel.layer };
}
