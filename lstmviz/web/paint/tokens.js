// What was read, over its columns. `words` is what is written: {level, labels, unknown, generated_from}; or `image`, drawn,
// or `parents`, of the nodes of a tree.

import { columns, slantedRoom, RIGHT, x } from "../view.js";
import { missing } from "../words.js";
import { betweenGutters, inkOn, outline, rgb, setFont } from "./pen.js";
import { drawRows, stripOf, WIDEST } from "./rows.js";
import { drawSigns, treeLaidOut } from "./tree.js";

export const lossScale = (level) => (level === "char" ? 5 : 10); // nats: the same whatever the sentence

export const tokenFont = (theme, level) => (level === "char" ? theme.code : theme.font);
const setTokenFont = (paint, theme, level) => setFont(paint, 13, "", tokenFont(theme, level));

export const widths = new Map(); // of a label in a font; to be cleared when a font was loaded
function widthOf(paint, font, label) { // in the token font of this family, which must be set
  const key = font + label;
  if (!widths.has(key)) widths.set(key, paint.measureText(label).width);
  return widths.get(key);
}

function widest(paint, theme, { level, labels }) {
  setTokenFont(paint, theme, level);
  const font = tokenFont(theme, level);
  return labels.reduce((most, label) => Math.max(most, widthOf(paint, font, label)), 8);
}

// How wide each column is, and how high the strip over them: see `columns`.
export function laidOut(paint, theme, words, room, zoom, dpr) {
  if (words.parents?.length) return treeLaidOut(words, room, zoom, dpr);
  if (!words.image) return columns(words.labels.length, widest(paint, theme, words), room, zoom, dpr);
  const count = words.labels.length, { column } = columns(count, Math.min(WIDEST, room / count - 4), room, zoom, dpr);
  return { column, strip: stripOf({ column }), lean: 0 };
}

// The colour of a token of this loss, as [red, green, blue, alpha].
export const surprise = (theme, nll, most) =>
  missing(nll) ? [...rgb(theme.ink), 0.08] : [...rgb(theme.tint), 0.85 * Math.min(1, Math.max(0, nll / most))];

// Their strip at this height; tint(t) is [red, green, blue, alpha].
export function drawTokens(paint, view, words, theme, y, tint) {
  if (words.image) return drawRows(paint, view, words, theme, y);
  if (words.parents?.length) return drawSigns(paint, view, words, theme, y, tint);
  const { column, lean, strip } = view, page = rgb(theme.page), font = tokenFont(theme, words.level);
  const width = column > 8 ? column - 1 : column, bottom = y + strip;
  const reach = Math.ceil(lean / column); // slanted tokens that begin left of the view still lean into it
  betweenGutters(paint, view, y, strip, () => {
    for (let t = Math.max(0, view.from - reach); t < view.to; t++) {
      const left = x(view, t), [r, g, b, alpha] = tint(t);
      paint.fillStyle = `rgba(${r}, ${g}, ${b}, ${alpha})`;
      if (lean) {
        outline(paint, [[left, bottom], [left + width, bottom], [left + width + lean, y], [left + lean, y]]);
        paint.fill();
      } else paint.fillRect(left, y, width, strip);
      if (!missing(words.generated_from) && t >= words.generated_from) {
        paint.fillStyle = theme.primary;
        paint.fillRect(left, bottom - 2, width, 2);
      }
      if (column < 9) continue; // zoomed out: the colours remain, the words are in the tooltip
      const behind = [r, g, b].map((channel, c) => page[c] + alpha * (channel - page[c]));
      setTokenFont(paint, theme, words.level);
      drawToken(paint, view, font, words.labels[t], words.unknown[t], left + width / 2, bottom, inkOn(behind));
    }
  }, lean ? RIGHT : 0);
}

// Around the selected token and everything below it, as far as it is in view; slanted tokens stand at its head.
export function frameColumn(paint, view, theme, top, bottom, strip) {
  const left = x(view, view.time) - 1, right = left + view.column + 1, lean = strip ? view.lean : 0, knee = top + strip;
  if (right <= view.left + 1 || left >= view.right) return;
  const around = (left, right, more) => outline(paint, [[left, bottom + more], [left, knee], [left + lean, top + 1 - more],
    [right + lean, top + 1 - more], [right, knee], [right, bottom + more]]);
  paint.save();
  around(view.left - 3, view.right + 2, 2); // as wide as the line is beside its column
  paint.clip();
  Object.assign(paint, { strokeStyle: theme.primary, lineWidth: 2, lineJoin: "round" });
  around(left, right, 0);
  paint.stroke();
  paint.restore();
}

function drawToken(paint, { column, lean, strip }, font, label, unknown, x, bottom, ink) {
  const room = lean ? slantedRoom(strip) : column, width = Math.min(widthOf(paint, font, label), room);
  paint.save();
  paint.translate(lean ? x + 4 : x - width / 2, lean ? bottom - 7 : bottom - strip / 2);
  if (lean) paint.rotate(-Math.PI / 3);
  Object.assign(paint, { textAlign: "left", textBaseline: "middle", fillStyle: ink });
  paint.fillText(shorten(paint, font, label, room), 0, 0);
  if (unknown) {
    Object.assign(paint, { strokeStyle: ink, lineWidth: 1.2 });
    paint.setLineDash([3, 2]);
    paint.beginPath();
    paint.moveTo(0, 8.5);
    paint.lineTo(width, 8.5);
    paint.stroke();
  }
  paint.restore();
}

function shorten(paint, font, label, room) {
  if (widthOf(paint, font, label) <= room + 1) return label;
  const letters = [...label].slice(0, Math.ceil(room / 2)); // however long the word, few of its letters can fit
  while (letters.length > 1 && paint.measureText(letters.join("") + "…").width > room) letters.pop();
  return letters.join("") + "…";
}
