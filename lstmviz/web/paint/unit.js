// The selected unit through the sentence: its state as the tint of the text, then a strip of bars for each role.

import { clamp, partOf, RIGHT, x } from "../view.js";
import { valueOf } from "../wire.js";
import { missing, number, shortLabel, whole } from "../words.js";
import { barWidth } from "./lines.js";
import { betweenGutters, channels, write } from "./pen.js";
import { drawTokens } from "./tokens.js";

// `title` stands over it, at view.unitTop.
export function drawUnit(paint, view, data, theme, title) {
  const { roles, unit, unitTop } = view, state = roles[0], reach = reachOf(state, data, unit);
  const left = view.narrow ? 8 : view.gutter;
  write(paint, theme, title, left, unitTop - 11, { size: 13, weight: 700, align: "left", room: view.width - left - 8 });
  const tint = (t) => {
    const value = valueOf(state, unit, t), place = clamp(Math.round(127.5 * (1 + value / reach)), 0, 255);
    return missing(value) ? [0, 0, 0, 0] : [...channels(theme.signed[place]), 1];
  };
  if (view.lean || data.image) drawBand(paint, view, tint);
  else drawTokens(paint, view, data, theme, unitTop, tint);
  roles.forEach((panel, k) => drawRole(paint, view, data, theme, panel, view.rolesTop + k * view.role));
}

function drawBand(paint, view, tint) { // as `drawTokens`, without the tokens
  betweenGutters(paint, view, view.unitTop, view.band, () => {
    for (let t = view.from; t < view.to; t++) {
      const [r, g, b, alpha] = tint(t);
      paint.fillStyle = `rgba(${r}, ${g}, ${b}, ${alpha})`;
      paint.fillRect(x(view, t), view.unitTop, view.column > 8 ? view.column - 1 : view.column, view.band);
    }
  });
}

// How far a role's strip reaches. What is held may have no bound of its own: then it is this unit's largest value, and says
// so.
function reachOf(panel, data, unit) {
  if (panel.bounded || panel.does !== "holds") return panel.high;
  return data.tokens.reduce((most, _, t) => Math.max(most, Math.abs(valueOf(panel, unit, t)) || 0), 1e-6);
}

function drawRole(paint, view, data, theme, panel, y) {
  const { column, time, gutter, unit, role, end } = view, colour = panel[theme.mode], reach = reachOf(panel, data, unit);
  const numbers = role > 22 ? 11 : 0, top = y + numbers, height = role - 4 - numbers, middle = top + height / 2;
  const zero = panel.signed ? middle : top + height, scale = (panel.signed ? height / 2 : height) / reach;
  const own = partOf(view, panel);
  if (own) betweenGutters(paint, own, y, role, () => {
    for (let t = own.from; t < own.to; t++) {
      const value = valueOf(panel, unit, t), size = (value || 0) * scale, left = x(view, t);
      paint.fillStyle = colour;
      paint.globalAlpha = t === time ? 1 : 0.55;
      paint.fillRect(left, Math.min(zero, zero - size), barWidth(view), Math.abs(size));
      paint.globalAlpha = 1;
      const style = { size: 10, align: "center", room: column - 2 };
      if (numbers) write(paint, theme, number(value), left + column / 2, y + 5, style);
    }
    paint.fillStyle = theme.line;
    paint.fillRect(own.left, zero, own.end - own.left, 1);
  });
  write(paint, theme, number(valueOf(panel, unit, time)), gutter - 12, middle, { weight: 600, room: 38 });
  write(paint, theme, panel.symbol, gutter - 54, middle - 1, { size: 15, weight: "italic", family: "serif", colour });
  if (!view.narrow) write(paint, theme, shortLabel(panel), gutter - 80, middle, { colour, room: gutter - 82 });
  const ends = `${panel.signed ? "±" : "0 … "}${whole(reach)}`;
  write(paint, theme, ends, end + 8, middle, { size: 10, align: "left", alpha: 0.65, room: RIGHT - 10 });
}
