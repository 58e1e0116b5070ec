// An expression as a tree over its columns: every operation above its own column, as high as operations stand one within the
// other in it, and the columns themselves for its leaves. A line leads from each child to its parent: the thicker, the more
// of what the child holds its parent keeps.

import { heights, families, shareOf } from "../tree.js";
import { clamp, columns, RIGHT, x } from "../view.js";
import { likeliest, missing, number } from "../words.js";
import { betweenGutters, inkOn, rgb, write } from "./pen.js";

const SIGNS = 26, LEVEL = 38, TALLEST = 210, HEADROOM = 6; // CSS pixels: the columns' own strip, a level, all levels at most
const NODE = 58, SPREAD = 5; // that a column need be; between the lines of siblings where they meet

// ---- where it lies ----------------------------------------------------------------------------------------------------

// The height of the drawing over the strip, and of a level in it.
function levels(parents) {
  const most = Math.max(0, ...heights(parents));
  return { most, level: most ? Math.min(LEVEL, TALLEST / most) : 0 };
}

export function treeLaidOut({ parents }, room, zoom, dpr) {
  const count = parents.length, { column } = columns(count, Math.min(NODE, room / count - 4), room, zoom, dpr);
  const { most, level } = levels(parents), tree = most ? Math.ceil(most * level) + HEADROOM : 0;
  return { column, strip: tree + SIGNS, lean: 0, tree };
}

export const bandOf = (words) => (words.parents?.length ? SIGNS : 0);

// ---- how it is drawn --------------------------------------------------------------------------------------------------

// The columns' own strip at this height; tint(t) is [red, green, blue, alpha].
export function drawSigns(paint, view, { labels, unknown }, theme, y, tint) {
  const { column } = view, width = column > 8 ? column - 1 : column, page = rgb(theme.page);
  betweenGutters(paint, view, y, SIGNS, () => {
    for (let t = view.from; t < view.to; t++) {
      const [r, g, b, alpha] = tint(t), behind = [r, g, b].map((channel, c) => page[c] + alpha * (channel - page[c]));
      paint.fillStyle = `rgba(${r}, ${g}, ${b}, ${alpha})`;
      paint.fillRect(x(view, t), y, width, SIGNS);
      const style = { size: 13, align: "center", colour: inkOn(behind), room: width - 2 };
      if (column >= 9) write(paint, theme, unknown[t] ? `${labels[t]}?` : labels[t], x(view, t) + width / 2, y + SIGNS / 2, style);
    }
  });
}

// From the top down to view.tree. `panels` are of the layer whose gates are meant; `answer` is what is right, if it is known;
// `whose` is said of them.
export function drawTree(paint, view, { labels, parents }, theme, { panels, top, answer, whose }) {
  if (!view.tree) return;
  const high = heights(parents), below = families(parents), { level } = levels(parents), colour = panels.find(({ does }) => does === "keeps")[theme.mode];
  const centre = (t) => x(view, t) + (view.column - 1) / 2;
  const line = Math.min(12, level / 3), spread = Math.min(SPREAD, level / 6); // from a level's top to where lines meet
  const y = (t) => (high[t] ? view.tree - high[t] * level + line : view.tree);
  const seen = (a, b) => b >= view.from && a < view.to;
  betweenGutters(paint, view, 0, view.tree, () => {
    Object.assign(paint, { strokeStyle: theme.line, lineWidth: 1 });
    parents.forEach((_, t) => { // from an operation to its column
      if (high[t] && seen(t, t)) stroke(paint, [[centre(t), y(t)], [centre(t), view.tree]], [2, 3]);
    });
    below.forEach((children, node) => {
      children.forEach((child, k) => {
        if (!seen(child, node)) return;
        const share = shareOf(panels, child), at = y(node) + (k - (children.length - 1) / 2) * spread, mine = node === view.time;
        const foot = high[child] ? y(child) - line + 2 : view.tree;
        Object.assign(paint, { strokeStyle: colour, lineWidth: clamp(6 * share, 0.75, 6) * Math.min(1, level / 20), lineJoin: "round" });
        paint.globalAlpha = missing(share) ? 0.3 : 0.35 + 0.65 * share;
        stroke(paint, [[centre(child), foot], [centre(child), at], [centre(node), at]]);
        paint.globalAlpha = 1;
        const room = centre(node) - centre(child) - (view.column < 30 ? 20 : 26); // for the number beside the line
        if (level < 26 || room < 14 || (view.column < 30 && !mine)) return;
        const style = { size: mine ? 11 : 10, weight: mine ? 700 : "", alpha: mine ? 1 : 0.7, align: "left" };
        write(paint, theme, number(share), centre(child) + 6, at + spread + 8, { ...style, room });
      });
    });
    parents.forEach((_, t) => {
      if (seen(t, t) && high[t]) drawNode(paint, view, theme, { label: labels[t], says: likeliest(top, t).label, right: answer?.labels[t] }, centre(t), y(t), level);
    });
  });
  betweenGutters(paint, view, view.tree, SIGNS, () => {
    paint.fillStyle = theme.primary; // the children of the selected node
    for (const t of below[view.time]) paint.fillRect(x(view, t), view.tree + SIGNS - 3, Math.max(2, view.column - 1), 2);
  });
  drawLegend(paint, view, theme, colour, whose);
}

function stroke(paint, points, dash = []) {
  paint.setLineDash(dash);
  paint.beginPath();
  for (const [px, py] of points) paint.lineTo(px, py);
  paint.stroke();
  paint.setLineDash([]);
}

// What the operation is called and, below it, what the model says that it is worth.
function drawNode(paint, view, theme, { label, says, right }, px, py, level) {
  const wide = Math.min(view.column - 1, 48), two = level >= 30;
  if (level < 12 || view.column < 14) {
    paint.fillStyle = theme.ink;
    paint.fillRect(px - 1.5, py - 1.5, 3, 3);
    return;
  }
  paint.fillStyle = theme.page;
  paint.fillRect(px - wide / 2, py - 8, wide, two ? 30 : 16);
  write(paint, theme, label, px, py, { size: 13, weight: 700, align: "center", room: wide });
  if (!two) return;
  const known = !missing(right), good = says === right, style = { size: 12, weight: 600, align: "center", room: wide };
  const colour = !known ? theme.ink : good ? theme.likely : theme.loss;
  write(paint, theme, `= ${says}${known ? (good ? " ✓" : " ✗") : ""}`, px, py + 15, { ...style, colour });
}

function drawLegend(paint, view, theme, colour, whose) {
  const quiet = { size: 11, alpha: 0.75 };
  if (!view.narrow && !view.stacked) {
    const lines = ["line: of what a child holds,", "the share its parent keeps,", ["mean of units", whose].filter(Boolean).join(" ")];
    lines.forEach((text, k) => write(paint, theme, text, view.left - 12, 12 + 15 * k, { ...quiet, room: view.left - 14 }));
  }
  const most = 6 * Math.min(1, levelOf(view) / 20);
  for (const [text, share, py] of [["1", 1, 12], ["0", 0, 27]]) {
    Object.assign(paint, { strokeStyle: colour, lineWidth: Math.max(0.75, most * share), globalAlpha: 0.35 + 0.65 * share });
    stroke(paint, [[view.end + 8, py], [view.end + 24, py]]);
    paint.globalAlpha = 1;
    write(paint, theme, text, view.end + 30, py, { ...quiet, align: "left", room: RIGHT - 32 });
  }
}

const levelOf = ({ tree }) => Math.min(LEVEL, tree);
