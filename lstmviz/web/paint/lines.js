// Lines over the tokens, and where they leave their strip.

import { x } from "../view.js";
import { missing, number } from "../words.js";
import { outline, setFont } from "./pen.js";

// A value a token, with a dot at the selected one; `y` says how high a value stands.
export function drawLine(paint, view, values, y, { colour, width, dash = [] }) {
  const middle = (t) => x(view, t) + view.column / 2;
  Object.assign(paint, { strokeStyle: colour, fillStyle: colour, lineWidth: width, lineJoin: "round" });
  paint.setLineDash(dash);
  paint.beginPath();
  for (let t = Math.max(0, view.from - 1); t < Math.min(view.to + 1, values.length); t++)
    if (!missing(values[t])) paint[missing(values[t - 1]) ? "moveTo" : "lineTo"](middle(t), y(values[t]));
  paint.stroke();
  paint.setLineDash([]);
  for (let t = view.from; t < view.to; t++) // what stands alone
    if (!missing(values[t]) && missing(values[t - 1]) && missing(values[t + 1])) paint.fillRect(middle(t) - 2.5, y(values[t]) - 2.5, 5, 5);
  if (missing(values[view.time])) return;
  paint.beginPath();
  paint.arc(middle(view.time), y(values[view.time]), width + 1.5, 0, 2 * Math.PI);
  paint.fill();
}

// Where a line is above its strip: a bar for each stretch, and an arrow with the largest value; where several lines share
// the strip, an arrow a line side by side, and no value. The stretches, as {from, to, most}.
export function markBeyond(paint, view, values, highest, theme, { y, colour, shift = null }) {
  const beyond = (t) => values[t] > highest * 1.001, stretches = [];
  for (let t = view.from; t < view.to; t++) {
    if (!beyond(t)) continue;
    const first = t;
    while (t + 1 < view.to && beyond(t + 1)) t++;
    const most = values.slice(first, t + 1).reduce((a, b) => Math.max(a, b)), text = number(most, most < 100 ? 1 : 0);
    setFont(paint, 11, 700, theme.font);
    const [left, right] = [x(view, first), x(view, t) + view.column], { width } = paint.measureText(text);
    const centre = Math.max(view.left + 6, Math.min(view.right - width - 16, (left + right) / 2));
    const middle = shift === null ? centre : left + 6 + shift;
    paint.fillStyle = colour;
    paint.fillRect(left + 1, y, right - left - 2, 2);
    outline(paint, [[middle, y], [middle + 5, y + 7], [middle - 5, y + 7]]);
    paint.fill();
    stretches.push({ from: first, to: t, most });
    if (shift !== null) continue;
    Object.assign(paint, { strokeStyle: theme.page, lineWidth: 3, textAlign: "left", textBaseline: "middle" });
    paint.strokeText(text, middle + 8, y + 8); // a halo, for bars behind it
    paint.fillText(text, middle + 8, y + 8);
  }
  return stretches;
}

export const barWidth = ({ column }) => Math.max(1, column - (column > 5 ? 1.5 : 0));
