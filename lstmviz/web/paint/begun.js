// How long the label that began a text is remembered: how much of what comes next would be another, had another label begun it.

import { barWidth } from "./lines.js";
import { betweenGutters, write } from "./pen.js";
import { RIGHT, x } from "../view.js";
import { missing, percent } from "../words.js";

export const BEGUN = 44; // CSS pixels

// At view.begunTop: a bar a column, from nothing to all of it.
export function drawBegun(paint, view, { begun }, theme) {
  const { begunTop, gutter, end, time, narrow } = view, bottom = begunTop + BEGUN;
  betweenGutters(paint, view, begunTop, BEGUN + 1, () => {
    paint.fillStyle = theme.likely;
    for (let t = view.from; t < view.to; t++) {
      const height = (begun.depends[t] ?? 0) * BEGUN;
      paint.fillRect(x(view, t), bottom - height, barWidth(view), height);
    }
  });
  paint.fillStyle = theme.line;
  paint.fillRect(gutter, bottom, end - gutter, 1);
  const row = (text, y, style) => write(paint, theme, text, gutter - 12, begunTop + y, { colour: theme.likely, room: gutter - 14, ...style });
  row(narrow ? "label" : "label matters", 14);
  row(missing(begun.depends[time]) ? "–" : percent(begun.depends[time]), 32, { weight: 600 });
  write(paint, theme, "all of it", end + 8, begunTop + 6, { align: "left", size: 11, colour: theme.likely, room: RIGHT - 10 });
}
