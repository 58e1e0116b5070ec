// Where a model says labels, what stands in the place of the loss: how likely it thinks the right one at every column where
// one is asked, and over that bar the one that it would say.

import { RIGHT, x } from "../view.js";
import { inline, likeliest, number } from "../words.js";
import { barWidth } from "./lines.js";
import { LOSS } from "./loss.js";
import { betweenGutters, write } from "./pen.js";

const ABOVE_BAR = 15; // CSS pixels that what it says takes

// At view.lossTop.
export function drawAnswer(paint, view, data, theme) {
  const { lossTop, gutter, end, time, narrow, column } = view, bottom = lossTop + LOSS, room = LOSS - ABOVE_BAR;
  const { labels, probability, known, last } = data.answer, says = (t) => likeliest(data.top, t);
  betweenGutters(paint, view, lossTop, LOSS + 1, () => {
    for (let t = view.from; t < view.to; t++) {
      if (labels[t] === null) continue;
      const height = (probability[t] ?? 0) * room, { label } = says(t), right = label === labels[t];
      paint.fillStyle = theme.likely;
      paint.globalAlpha = right ? 0.85 : 0.4;
      paint.fillRect(x(view, t), bottom - height, barWidth(view), height);
      paint.globalAlpha = 1;
      if (column < 9) continue;
      const style = right ? { weight: 700, colour: theme.likely } : { alpha: 0.7 };
      write(paint, theme, label, x(view, t) + column / 2, bottom - height - 7, { ...style, size: 12, align: "center", room: column - 3 });
    }
  });
  paint.fillStyle = theme.line;
  paint.fillRect(gutter, bottom, end - gutter, 1);
  const row = (label, value, y, style) => {
    write(paint, theme, label, gutter - 54, lossTop + y, { ...style, room: gutter - 56 });
    write(paint, theme, value, gutter - 12, lossTop + y, { weight: 600, ...style, room: 38 });
  };
  const { label, probability: most } = says(time), what = narrow ? "" : known ? "right: " : "at last: ";
  if (labels[time] === null) row(narrow ? "" : time < data.said_from ? "only read" : "nothing asked", "–", 32, { alpha: 0.65 });
  else {
    if (known || last) row(`${what}${inline(labels[time])}`, number(probability[time]), 22, { colour: theme.likely });
    row(`says ${inline(label)}`, number(most), 42, {});
  }
  for (const [text, y] of [["1", ABOVE_BAR + 4], ["0", LOSS - 5]])
    write(paint, theme, text, end + 8, lossTop + y, { size: 11, align: "left", alpha: 0.75, room: RIGHT - 10 });
  return [];
}
