// The rows of an image over their columns: over each the image as far as it has been read, and below that the row itself.

import { clamp, x } from "../view.js";
import { betweenGutters, rgb } from "./pen.js";

const PIXELS = 8, AHEAD = 0.1; // CSS pixels of the row's own strip; how much is seen of the rows that are still to be read

export const WIDEST = 58; // that a column need be
const sideFor = ({ column }) => clamp(column - 3, 6, 56);
export const stripOf = (view) => sideFor(view) + PIXELS + 8;

export const sideOf = (code) => Math.round(Math.sqrt(code.length)); // of an image as `as_code` of Python writes it

// A canvas of one pixel a pixel: the ink, as thick as the grey.
export function picture(code, ink) {
  const wide = sideOf(code), canvas = document.createElement("canvas"), [r, g, b] = rgb(ink);
  Object.assign(canvas, { width: wide, height: wide });
  const paint = canvas.getContext("2d"), pixels = paint.createImageData(wide, wide);
  [...code].forEach((grey, k) => pixels.data.set([r, g, b, 17 * parseInt(grey, 16)], 4 * k));
  paint.putImageData(pixels, 0, 0);
  return canvas;
}

// Their strip at this height.
export function drawRows(paint, view, { image }, theme, y) {
  const whole = picture(image, theme.ink), count = whole.width, size = sideFor(view), below = y + size + 4;
  const part = (from, rows, left, top, width, height) => paint.drawImage(whole, 0, from, count, rows, left, top, width, height);
  betweenGutters(paint, view, y, view.strip, () => {
    paint.imageSmoothingEnabled = false;
    for (let t = view.from; t < view.to; t++) {
      const left = x(view, t), begin = left + Math.max(0, (view.column - size) / 2 - 0.5), read = (size * (t + 1)) / count;
      paint.globalAlpha = 0.06;
      paint.fillStyle = theme.ink;
      paint.fillRect(begin, y, size, size);
      paint.globalAlpha = AHEAD;
      part(0, count, begin, y, size, size);
      paint.globalAlpha = 1;
      part(0, t + 1, begin, y, size, read);
      paint.fillStyle = theme.primary; // how far it has been read
      if (size >= 20) paint.fillRect(begin, y + read - 1, size, 1);
      paint.globalAlpha = 0.06;
      paint.fillStyle = theme.ink;
      paint.fillRect(left, below, view.column - 1, PIXELS);
      paint.globalAlpha = 1;
      part(t, 1, left, below, view.column - 1, PIXELS);
    }
  });
}
