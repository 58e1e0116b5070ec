// What goes in: the token as a row of zeros with a one, the row of the embedding that this picks, the tokens that have rows like it,
// and the plane in which all of them lie.

import { make, placeTip, renew } from "../dom.js";
import { partsOf, symbolsOf, text } from "../equations.js";
import { begin, channels, inkOn, resize, write } from "../paint/pen.js";
import { clamp } from "../view.js";
import { drawable, inline, number } from "../words.js";
import { valuesOf } from "./arithmetic.js";
import { Embedding, FIRST } from "./embedding.js";
import { typeset } from "./formula.js";
import { unitIn, unitsView } from "./strips.js";

const NEAR = 8; // tokens
const FEW = 100; // tokens, of which each has a cell of its own with its sign
const HIGH = 300, PAD = 18; // CSS pixels of the plane
const ROW = 24; // and of the row of zeros

const embeddings = new WeakMap(); // weights -> Embedding

export class InputSection {
  constructor(place, host) {
    this.host = host;
    this.place = place;
    const canvas = () => make("canvas", "");
    this.hot = make("p", "step");
    this.row = canvas();
    this.picks = make("p", "step");
    this.strip = canvas();
    this.then = make("p", "quiet");
    this.nearTitle = make("h4", "", "nearest by cosine");
    this.near = make("div", "near");
    this.plane = canvas();
    this.planeTitle = make("h4", "");
    this.planeNote = make("p", "quiet");
    this.why = make("p", "quiet", "Two different one-hot rows are always √2 apart: they cannot say that one token is like another. The rows of the embedding are learned with the rest, and tokens that are followed by the same come to lie side by side.");
    this.tip = make("div", "tip");
    this.like = make("div", "like", "", [make("div", "", "", [this.nearTitle, this.near, this.why]), make("div", "", "", [this.planeTitle, this.plane, this.planeNote])]);
    place.append(this.hot, this.row, this.picks, this.strip, this.then, this.like, this.tip);
    this.paints = new Map([this.row, this.strip, this.plane].map((each) => [each, each.getContext("2d", { alpha: false })]));
    this.listen();
  }

  show(seen) {
    const { reading, live, at: { time, layer }, theme } = (this.seen = seen), { image } = reading;
    const width = this.place.clientWidth || 600, dpr = window.devicePixelRatio || 1, x = valuesOf(reading, layer, time).x;
    const token = !image && layer === 0;
    this.hot.hidden = this.row.hidden = layer > 0;
    this.like.hidden = !token;
    const name = image ? reading.signs[time] : `“${inline(reading.signs[time])}”`;
    if (token) this.token(reading, time, width, dpr, theme);
    if (image && layer === 0) this.greys(reading, time, width, dpr, theme);
    this.picks.textContent = layer ? `x = h of layer ${layer} at ${name}: ${x.length} numbers. What layer ${layer} shows is all that layer ${layer + 1} sees of the text.` :
      image ? `x = W row + b: ${x.length} numbers, made of the ${live.side} greys by a matrix that is learned.` :
      `x = row ${reading.ids[time]} of the embedding: the ${x.length} numbers that stand for ${name}. A one-hot row times a matrix is one of its rows.`;
    this.vector(this.strip, x, Math.max(...x.map(Math.abs), 1e-6), width, dpr, theme);
    renew(this.then, make("p", "", "From here ", [...typeset(firstOf(live), () => ""), ` begins: such a matrix has a row for each number that it makes, and in it ${x.length} weights for x.`]));
  }

  // V cells, one of which is 1.
  token({ ids, opened }, time, width, dpr, theme) {
    const { reads } = opened, id = ids[time], count = reads.length, paint = this.paints.get(this.row);
    this.hot.textContent = `One-hot: ${count.toLocaleString("en")} numbers, one for each token of the vocabulary. Number ${id} is 1, all others are 0.`;
    const few = count <= FEW, cell = few ? clamp(Math.floor((width - 4) / count), 1, 34) : (width - 4) / count, view = { width, height: few ? ROW + 4 : ROW, dpr };
    resize(this.row, view);
    begin(paint, view, theme);
    this.hotView = { count, cell };
    const place = (k) => 2 + k * cell;
    paint.fillStyle = theme.line;
    if (!few) paint.fillRect(2, 2, count * cell, ROW - 6);
    for (let k = 0; few && k < count; k++) {
      paint.fillStyle = k === id ? theme.primary : theme.line;
      paint.globalAlpha = k === id ? 1 : 0.45;
      paint.fillRect(place(k), 2, cell - (cell > 4), ROW);
      paint.globalAlpha = 1;
      const sign = drawable(reads.display(k));
      if (cell > 11 && sign.length * 5 < cell) write(paint, theme, sign, place(k) + cell / 2, 2 + ROW / 2, { size: 11, align: "center", room: cell - 3, colour: k === id ? theme.page : theme.ink, alpha: k === id ? 1 : 0.6 });
    }
    if (!few) {
      paint.fillStyle = theme.primary;
      paint.fillRect(Math.floor(place(id)) - 1, 0, 3, ROW);
    }
    this.alike(opened, id, theme, dpr);
  }

  alike({ model, reads }, id, theme, dpr) {
    const { weight } = model.input;
    if (!embeddings.has(weight.values)) embeddings.set(weight.values, new Embedding(weight));
    const embedding = embeddings.get(weight.values), nearest = embedding.nearest(id, NEAR);
    renew(this.near, make("div", "", "", nearest.flatMap(({ id: other, cosine }) => {
      const bar = make("span", "fill");
      Object.assign(bar.style, { width: `${50 * Math.abs(cosine)}%`, left: `${cosine < 0 ? 50 - 50 * Math.abs(cosine) : 50}%`, background: theme.likely });
      return [make("span", "name", drawable(reads.display(other))), make("span", "track", "", [bar, make("span", "middle")]), make("span", "value", number(cosine))];
    })));
    const shown = () => this.drawPlane(embedding, reads, id, nearest, theme, dpr);
    if (embedding.places) return shown();
    setTimeout(() => { // of a large vocabulary it takes longer than a key may
      embedding.plane;
      if (this.seen?.reading.opened.model === model && !this.like.hidden) this.show(this.seen);
    });
  }

  drawPlane(embedding, reads, id, nearest, theme, dpr) {
    const paint = this.paints.get(this.plane), width = Math.max(200, this.plane.parentElement.clientWidth), view = { width, height: HIGH, dpr }, { rows } = embedding;
    this.planeTitle.textContent = `all ${(rows - FIRST).toLocaleString("en")} tokens, along their two principal components`;
    this.planeNote.textContent = "Light: common in what it was trained on. Dark: rare.";
    const key = JSON.stringify([width, dpr, theme.mode, theme.page]); // all of them are drawn once, and not at every key
    if (this.cloud?.embedding !== embedding || this.cloud.key !== key) this.cloud = { embedding, key, ...cloudOf(embedding, view, theme) };
    const { at, picture, few } = this.cloud, label = (token, colour, size, weight, far) => {
      const [x, y] = at(token), left = x > width - 80;
      dot(paint, x, y, colour, size);
      write(paint, theme, drawable(reads.display(token)), x + (left ? -far : far), y, { size: weight ? 14 : 11, weight, align: left ? "right" : "left", colour: weight ? colour : theme.ink });
    };
    resize(this.plane, view);
    paint.setTransform(1, 0, 0, 1, 0, 0);
    paint.drawImage(picture, 0, 0);
    paint.setTransform(dpr, 0, 0, dpr, 0, 0);
    for (let other = FIRST; few && other < rows; other++) if (other !== id) write(paint, theme, drawable(reads.display(other)), at(other)[0] + 7, at(other)[1], { size: 11, align: "left", alpha: 0.75 });
    if (few) for (const { id: other } of nearest) dot(paint, ...at(other), theme.likely, 4);
    else for (const { id: other } of nearest) label(other, theme.likely, 3, "", 6);
    label(id, theme.primary, 5, 700, 9);
  }

  greys({ image }, time, width, dpr, theme) { // of a row of an image
    const { live } = this.seen, { side } = live, row = image.subarray(time * side, (time + 1) * side);
    this.hot.textContent = `Row ${time + 1} of the image: ${side} greys, from 0 (paper) to 1 (ink).`;
    const paint = this.paints.get(this.row), view = unitsView(side, width, dpr);
    this.hotView = null;
    resize(this.row, view);
    begin(paint, view, theme);
    row.forEach((grey, k) => {
      const share = grey / 255;
      paint.fillStyle = theme.ink;
      paint.globalAlpha = 0.06 + 0.94 * share;
      paint.fillRect(2 + k * view.cell, 2, view.cell - 1, view.high - 1);
      paint.globalAlpha = 1;
      if (view.cell > 20) write(paint, theme, number(share), 2 + (k + 0.5) * view.cell, 2 + view.high / 2, { size: 10, align: "center", colour: share > 0.55 ? theme.page : theme.ink });
    });
  }

  vector(canvas, values, reach, width, dpr, theme) {
    const paint = this.paints.get(canvas), view = (this.stripView = unitsView(values.length, width, dpr)), { across, cell, high } = view;
    resize(canvas, view);
    begin(paint, view, theme);
    values.forEach((value, k) => {
      const colour = channels(theme.signed[clamp(Math.round(127.5 * (1 + value / reach)), 0, 255)]), left = 2 + (k % across) * cell, top = 2 + Math.floor(k / across) * high;
      paint.fillStyle = `rgb(${colour})`;
      paint.fillRect(left, top, cell - (cell > 4), high - (high > 4));
      if (cell > 26) write(paint, theme, number(value), left + cell / 2, top + high / 2, { size: 10, align: "center", colour: inkOn(colour), room: cell - 2 });
    });
  }

  listen() {
    const say = (canvas, told) => {
      canvas.addEventListener("pointermove", (event) => {
        const lines = this.seen ? told(event) : null;
        this.tip.style.display = lines ? "block" : "none";
        if (!lines) return;
        this.tip.replaceChildren(...lines.map((line, k) => make(k ? "span" : "b", "", line)));
        placeTip(this.tip, this.place, event);
      });
      canvas.addEventListener("pointerleave", () => { this.tip.style.display = "none"; });
    };
    say(this.row, ({ offsetX }) => {
      if (!this.hotView) return null;
      const { reading: { ids, opened: { reads } }, at: { time } } = this.seen, id = Math.floor((offsetX - 2) / this.hotView.cell);
      return id >= 0 && id < this.hotView.count ? [inline(reads.display(id)), `number ${id} is ${id === ids[time] ? 1 : 0}`] : null;
    });
    say(this.strip, ({ offsetX, offsetY }) => {
      const k = unitIn(this.stripView, offsetX, offsetY), { reading, at: { time, layer } } = this.seen;
      return k === null ? null : [`x[${k}]`, number(valuesOf(reading, layer, time).x[k], 3)];
    });
    say(this.plane, ({ offsetX, offsetY }) => {
      if (!this.cloud) return null;
      let best = null, least = 14;
      for (let t = FIRST; t < this.cloud.embedding.rows; t++) {
        const [x, y] = this.cloud.at(t), far = Math.hypot(x - offsetX, y - offsetY);
        if (far < least) [best, least] = [t, far];
      }
      return best === null ? null : [inline(this.seen.reading.opened.reads.display(best)), `number ${best} of the vocabulary, the commonest first`];
    });
    this.strip.addEventListener("click", ({ offsetX, offsetY }) => { // of the layer below it is a unit
      const k = unitIn(this.stripView, offsetX, offsetY), { at: { layer }, live } = this.seen;
      if (k !== null && layer > 0 && live.output === live.size) this.host.select({ layer: layer - 1, unit: k });
    });
  }
}

// The first product of a matrix with x, in the equations of gates and states, or in what they are made of.
function firstOf({ symbols, cell: { equations } }) {
  const trees = [...Object.values(symbols).map((symbol) => equations[symbol]), ...Object.values(equations)].flatMap(partsOf);
  return text(trees.find((tree) => tree[0] === "@" && symbolsOf(tree[2]).some((symbol) => /^x/.test(symbol))));
}

// Where each token lies in the plane, and a picture of all: the commonest over the others.
function cloudOf({ plane, rows }, view, theme) {
  const { width, height, dpr } = view, picture = new OffscreenCanvas(Math.round(width * dpr), Math.round(height * dpr)), paint = picture.getContext("2d");
  const ends = [0, 1].map((k) => {
    let low = Infinity, high = -Infinity;
    for (let t = FIRST; t < rows; t++) [low, high] = [Math.min(low, plane[2 * t + k]), Math.max(high, plane[2 * t + k])];
    return high > low ? [low, high] : [low - 1, low + 1];
  });
  const at = (t) => ends.map(([low, high], k) => PAD + clamp((plane[2 * t + k] - low) / (high - low), 0, 1) * ((k ? height : width) - 2 * PAD));
  const few = rows <= FEW, most = Math.log(rows);
  begin(paint, view, theme);
  for (let t = rows - 1; t >= FIRST; t--) {
    const [x, y] = at(t), share = 1 - Math.log(t - FIRST + 1) / most;
    dot(paint, x, y, `rgb(${channels(theme.gates[clamp(Math.round(255 * share), 0, 255)])})`, few ? 3 : 1.5);
  }
  return { at, picture, few };
}

function dot(paint, x, y, colour, size) {
  paint.fillStyle = colour;
  paint.beginPath();
  paint.arc(x, y, size, 0, 7);
  paint.fill();
}
