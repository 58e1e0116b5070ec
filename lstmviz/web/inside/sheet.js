// Pictures under one another, on the columns of a sentence, which stands over them: as the gate map, without its keys.

import { make, placeTip } from "../dom.js";
import { columnsOf, unknownIn } from "../drawn.js";
import { begin, resize } from "../paint/pen.js";
import { drawTokens, frameColumn, laidOut } from "../paint/tokens.js";
import { along, GAP, leanAt, revealed, RIGHT, scrolledIn, scrolledTo, scrolls, timeAt } from "../view.js";
import { drawable } from "../words.js";

const NARROW = 640; // CSS pixels

// What stands over the columns of a reading.
export function wordsOf(reading) {
  const unknown = unknownIn(reading), { signs, typed } = reading;
  return { ...columnsOf(reading), unknown, labels: unknown.map((none, t) => drawable((none && typed[t]) || signs[t])), generated_from: null };
}

// The next of 1, 1.5, 2, 3, 5, 7, 10, … that is no smaller.
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return Number.isFinite(power) && power > 0 ? [1, 1.5, 2, 3, 5, 7, 10].find((step) => step * power >= value * 0.9999) * power : 1;
}

export const LEAST = 0.01; // what is less would be written as 0.00: it does not get the colours, and the height, of all

// A row is a picture: {height, draw(paint, view, y, theme), tell(time, down), pick(time, down)}. The last two are asked for a
// column, and how far down in the row: what the tip says there, as lines, and what a click chooses; by default that token.
export class Sheet {
  constructor(place, label, choose) {
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", label);
    this.paint = this.canvas.getContext("2d", { alpha: false });
    this.spacer = make("div", "spacer");
    this.scroll = make("div", "scroll", "", [make("div", "stage", "", [this.canvas]), this.spacer]);
    this.tip = make("div", "tip");
    this.box = place.appendChild(make("div", "sheet", "", [this.scroll, this.tip]));
    this.scroll.addEventListener("scroll", () => { if (this.view && this.scroll.scrollLeft !== this.view.scrolled) this.redraw(); });
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => { this.tip.style.display = "none"; });
    this.canvas.addEventListener("click", ({ offsetX, offsetY }) => {
      const hit = this.at(offsetX, offsetY);
      if (hit) choose(hit.row?.pick?.(hit.time, hit.down) ?? { time: hit.time });
    });
    new ResizeObserver(() => { // also when the part is shown again
      const { clientWidth } = this.scroll;
      if (!clientWidth || clientWidth === this.width) return;
      this.width = clientWidth;
      if (this.shown) this.show(this.shown);
    }).observe(this.scroll);
  }

  // `tint(t)` is the colour of a token, [red, green, blue, alpha]; `at` what is selected.
  show(shown) {
    this.shown = shown;
    this.width ||= this.scroll.clientWidth;
    if (!this.width) return; // it is not on the screen yet
    const { words, theme, at, rows } = shown, { width } = this, dpr = window.devicePixelRatio || 1;
    const narrow = width < NARROW, gutter = narrow ? 92 : 162, right = width - RIGHT, { length } = words.labels;
    const laid = laidOut(this.paint, theme, words, right - gutter, 1, dpr);
    let y = laid.strip + GAP;
    this.places = rows.map((row) => {
      const place = { row, y };
      y += row.height + GAP;
      return place;
    });
    this.view = { width, height: y, dpr, narrow, gutter, left: gutter, right, gap: null, ...laid, ...at };
    this.spacer.style.width = `${gutter + along(this.view, length) + RIGHT}px`;
    const { scroll, revealed: before } = this, now = `${at.time} ${width}`;
    this.revealed = now;
    if (scrolls(this.view, length) && before !== now) scroll.scrollLeft = revealed(this.view, at.time, scroll.scrollLeft);
    this.redraw();
  }

  redraw() {
    const { paint, shown: { words, theme, tint } } = this, { length } = words.labels;
    this.view = scrolledTo(this.view, length, scrolledIn(this.scroll, this.view, length));
    const { view } = this;
    resize(this.canvas, view);
    if (view.right - view.left < 20) return;
    begin(paint, view, theme);
    drawTokens(paint, view, words, theme, 0, tint);
    for (const { row, y } of this.places) row.draw(paint, view, y, theme);
    frameColumn(paint, view, theme, 0, view.height - 2, view.strip);
  }

  at(px, py) {
    const { view } = this, place = this.places.find(({ row, y }) => py >= y && py < y + row.height);
    const time = timeAt(view, px - leanAt(view, py));
    if (px < view.left || time < 0 || time >= this.shown.words.labels.length) return null;
    return { time, row: place?.row ?? null, down: place ? py - place.y : 0 };
  }

  hover(event) {
    const hit = this.at(event.offsetX, event.offsetY), lines = hit?.row?.tell?.(hit.time, hit.down) ?? [];
    this.tip.replaceChildren(...lines.map((line, k) => make(k ? "span" : "b", "", line)));
    this.tip.style.display = lines.length ? "block" : "none";
    if (lines.length) placeTip(this.tip, this.box, event);
  }
}
