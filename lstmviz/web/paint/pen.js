// What every part of a picture is drawn with: colours of the theme, text, clipping.

import { CIVIDIS, INKS, SIGNED } from "../constants.js";

// ---- colour ----------------------------------------------------------------------------------------------------------

// Red, green, blue of any CSS colour: the browser parses it, by painting one pixel.
const parsed = new Map();
export function rgb(colour) {
  if (!parsed.has(colour)) {
    const pixel = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    pixel.fillStyle = colour;
    pixel.fillRect(0, 0, 1, 1);
    parsed.set(colour, [...pixel.getImageData(0, 0, 1, 1).data.slice(0, 3)]);
  }
  return parsed.get(colour);
}

// 256 colours along equally spaced stops, packed as ImageData wants them.
const ramps = new Map();
function ramp(stops) {
  const name = stops.join();
  if (!ramps.has(name)) ramps.set(name, between(stops));
  return ramps.get(name);
}

function between(stops) {
  const colours = stops.map(rgb), table = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (colours.length - 1), k = Math.min(colours.length - 2, Math.floor(place));
    const [r, g, b] = colours[k].map((from, c) => Math.round(from + (place - k) * (colours[k + 1][c] - from)));
    table[i] = (255 << 24) | (b << 16) | (g << 8) | r;
  }
  return table;
}

export const channels = (packed) => [packed & 255, (packed >> 8) & 255, (packed >> 16) & 255];
const brightness = ([r, g, b]) => 0.299 * r + 0.587 * g + 0.114 * b;
export const inkOn = (colour) => (brightness(colour) > 128 ? "#111827" : "#f9fafb"); // text that can be read on a colour

export function readTheme(element) {
  const style = getComputedStyle(element);
  const get = (name, otherwise) => style.getPropertyValue(`--st-${name}`).trim() || otherwise;
  const page = get("background-color", "#ffffff"), mode = brightness(rgb(page)) < 128 ? "dark" : "light";
  const [negative, positive] = SIGNED[mode];
  return {
    mode, page, ...INKS[mode],
    ink: get("text-color", "#1f2937"), line: get("border-color", "#d1d5db"), primary: get("primary-color", "#2563eb"),
    font: get("font", "sans-serif"), code: get("code-font", "monospace"),
    gates: ramp(CIVIDIS), signed: ramp([...negative, page, ...positive]),
  };
}

// ---- text and shapes -------------------------------------------------------------------------------------------------

export function setFont(paint, size, weight, family) { paint.font = `${weight} ${size}px ${family}`; }

// One line; where it is wider than its room, in smaller letters.
export function write(
  paint, theme, text, x, y,
  { size = 12, weight = "", align = "right", colour = theme.ink, alpha = 1, family = theme.font, room } = {},
) {
  setFont(paint, size, weight, family);
  if (room) {
    const { width } = paint.measureText(text);
    if (width > room) setFont(paint, Math.max(7, size * room / width), weight, family);
  }
  Object.assign(paint, { textAlign: align, textBaseline: "middle", fillStyle: colour, globalAlpha: alpha });
  paint.fillText(text, x, y);
  paint.globalAlpha = 1;
}

// Draw nothing but between the gutters of a view.
export function betweenGutters(paint, { left, right }, y, height, body, overhang = 0) {
  paint.save();
  paint.beginPath();
  paint.rect(left, y, right + overhang - left, height);
  paint.clip();
  body();
  paint.restore();
}

export function outline(paint, points) {
  paint.beginPath();
  for (const [x, y] of points) paint.lineTo(x, y);
  paint.closePath();
}

// A clean page of so many CSS pixels.
export function begin(paint, { dpr, width, height }, theme) {
  paint.setTransform(dpr, 0, 0, dpr, 0, 0);
  paint.fillStyle = theme.page;
  paint.fillRect(0, 0, width, height);
  Object.assign(paint, { direction: "ltr", lineJoin: "miter", lineCap: "butt" }); // whatever the picture before left
}

// Give a canvas the pixels that a view wants.
export function resize(canvas, view) {
  const [width, height] = [view.width, view.height].map((size) => Math.round(size * view.dpr));
  if (canvas.width === width && canvas.height === height) return;
  Object.assign(canvas, { width, height });
  Object.assign(canvas.style, { width: `${width / view.dpr}px`, height: `${height / view.dpr}px` });
}
