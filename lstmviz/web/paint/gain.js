// What memory gains: at every token how much less the model lost than what is laid over its loss, and where it lost more.

import { barWidth } from "./lines.js";
import { betweenGutters, outline, write } from "./pen.js";
import { lossScale } from "./tokens.js";
import { RIGHT, x } from "../view.js";
import { gainOf, missing, number, signed, tally } from "../words.js";

export const GAIN = 52; // CSS pixels

// At view.gainTop: bars up where the model lost less, down where it lost more, on a scale that is the same for all
// sentences; higher only for what is off it.
export function drawGain(paint, view, data, theme) {
  const { gainTop, gutter, end, time, narrow } = view, middle = gainTop + GAIN / 2;
  const gain = (t) => gainOf(data, t), seen = [];
  for (let t = view.from; t < view.to; t++) seen.push(Math.abs(gain(t)) || 0);
  const top = Math.max(lossScale(data.level) / 4, ...seen);
  betweenGutters(paint, view, gainTop, GAIN, () => {
    for (let t = view.from; t < view.to; t++) {
      if (missing(gain(t))) continue;
      const height = (gain(t) / top) * (GAIN / 2);
      paint.fillStyle = height > 0 ? theme.gain : theme.lack;
      paint.fillRect(x(view, t), middle - Math.max(0, height), barWidth(view), Math.abs(height));
    }
  });
  paint.fillStyle = theme.line;
  paint.fillRect(gutter, middle, end - gutter, 1);
  const ahead = tally(data), mine = gain(time);
  const row = (label, value, y, colour) => {
    write(paint, theme, label, gutter - 54, gainTop + y, { colour, room: gutter - 56 });
    write(paint, theme, value, gutter - 12, gainTop + y, { weight: 600, colour, room: 38 });
  };
  paint.fillStyle = theme.ink; // as over the bars of the loss
  paint.fillRect(narrow ? 0 : gutter - 118, gainTop + 10, narrow ? 6 : 14, 2);
  row(data.beside.name, number(data.beside.nll[time]), 11, theme.ink);
  row(narrow ? "gain" : "memory gains", missing(mine) ? "–" : signed(mine), 41, mine < 0 ? theme.lack : theme.gain);
  const won = (count, y, colour, up) => {
    paint.fillStyle = colour;
    outline(paint, [[end + 9, y + 4 * up], [end + 17, y + 4 * up], [end + 13, y - 4 * up]]);
    paint.fill();
    write(paint, theme, `${count}`, end + 21, y, { align: "left", weight: 600, colour, room: RIGHT - 23 });
  };
  won(ahead.model, gainTop + 12, theme.gain, 1);
  won(ahead.beside, gainTop + 40, theme.lack, -1);
}
