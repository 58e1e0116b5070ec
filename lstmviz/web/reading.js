// A model reading a text or an image in the page, column by column: what lstmviz/reading.py does on the server.

import { LIKELY_MOST, LONGEST } from "./constants.js";
import { Model, Trace } from "./engine.js";
import { rightLabels } from "./right.js";
import { visible, Vocabulary } from "./vocabulary.js";

const SLICE = 4000; // characters, which are split in some two milliseconds

// A model that came as `live`, the header of lstmviz/live.py, with its weights, a Float32Array.
export class Opened {
  constructor(live, weights) {
    this.live = live;
    this.model = new Model(live, weights);
    this.together = live.usual.map(({ together: { at, shape: [few] } }) => this.model.weights.subarray(at, at + few ** 2)); // see units.js
    this.says = new Vocabulary(live.vocabulary);
    this.reads = live.reads ? new Vocabulary(live.reads) : this.says;
    this.asked = live.vocabulary.level === "label"; // it says labels, and not the next token
    this.best = Math.min(live.side ? Infinity : this.asked ? LIKELY_MOST : 5, this.says.length);
    this.signs = new Map(); // of what it says: id -> as it can be seen, and what to type to get it
  }

  sign(id) {
    if (!this.signs.has(id)) this.signs.set(id, [this.says.display(id), this.asked ? null : this.says.howToType(id)]); // no label is typed
    return this.signs.get(id);
  }
}

// What was read. A reading goes on from the one before: what a text has in common with its beginning is not read again.
//   pieces, ids   of what is to be read: as it was typed, one a token; of an image its rows
//   typed, signs  and as it can be seen: that, and what the model takes it for
//   split         of a text what was typed, and one piece more than is read, where there is one
//   before        columns that stand before it: of a grammar's sentence the end of another
//   dropped       how many pieces more there are, which are not read; `rest` of the text they have not been counted
//   cut           whether the text had more characters than are looked at
//   count         how many columns have been read; all of `likely`, `nll` and the trace is of these
//   likely        after each the likeliest {ids, probabilities}, the likeliest first
//   right         where labels are said, which is right at each column, null where nothing is asked; null where nobody knows
//   image         the pixels, in the order in which they are read; null of a text
export class Reading {
  constructor(opened, most = opened.live.most, trace = new Trace(opened.model)) { // tokens of a text that are read
    Object.assign(this, { opened, most, trace, planes: new Map(), chosen: new Map(), image: null, right: null });
    Object.assign(this, { text: "", split: [], before: 0, pieces: [], typed: [], signs: [], ids: [], rest: null, dropped: 0, cut: false, likely: [], lost: [] });
  }

  get count() { return this.trace.count; }
  get nll() { // of labels it follows from what is right, which the end of a text may change at every column
    if (!this.opened.asked) return this.lost;
    return this.likely.map((_, t) => (isLabel(this.right?.[t]) ? this.trace.nll(t, this.right[t]) : NaN));
  }

  get answers() { return !this.opened.asked || this.likely.every(({ ids }) => ids.length); } // by finite numbers

  // Reads a text until the time `deadline` of performance.now(), one column at least; whether all is read. If not, the same
  // call goes on.
  toText(text, deadline = Infinity) {
    if (text !== this.text) this.begin(text);
    return this.readOn(deadline);
  }

  begin(text) {
    const { live, reads } = this.opened, looked = cutTo(text, LONGEST), rest = slicesOf(looked.text), end = reads.tokens[reads.end];
    let split = [], part = {};
    while (split.length <= this.most && !(part = rest.next()).done) split = split.concat(reads.split(part.value));
    const before = !live.begins && split.length && split[0] !== end ? [end] : [], pieces = [...before, ...split];
    const kept = pieces.slice(0, this.most), dropped = pieces.length - kept.length, ids = reads.encode(kept);
    this.keep(common(this.ids, ids));
    const typed = kept.map((piece, t) => (piece === this.pieces[t] ? this.typed[t] : visible(piece)));
    const signs = ids.map((id, t) => (id === this.ids[t] ? this.signs[t] : reads.display(id)));
    Object.assign(this, { text, split, before: before.length, pieces: kept, typed, signs, ids, rest: part.done ? null : rest, dropped, cut: looked.cut });
    this.right = this.rightOf(kept);
  }

  // The ids of the labels that are right, where a rule says them.
  rightOf(pieces) {
    const { live: { task }, says } = this.opened, rule = pieces.length ? task.right : null;
    const labels = rule && rightLabels(rule, pieces).map((label) => says.ids.get(label) ?? null);
    return task.asked_last && !isLabel(labels?.at(-1)) ? null : labels; // it is not asked yet, so that nobody knows
  }

  // The same for an image: its greys, uint8, as a person sees it; `label` is the id of what it shows, null where nobody knows.
  toImage(pixels, label = null, deadline = Infinity) {
    const { side, order_of_pixels: order } = this.opened.live, image = order ? Uint8Array.from(order, (at) => pixels[at]) : pixels;
    const rows = Array.from({ length: side }, (_, t) => image.subarray(t * side, (t + 1) * side)), ids = rows.map(String);
    const names = rows.map((_, t) => `row ${t + 1}`);
    this.keep(common(this.ids, ids));
    Object.assign(this, { image, ids, pieces: names, typed: names.map((name) => visible(name)), signs: names, right: isLabel(label) ? rows.map(() => label) : null });
    return this.readOn(deadline);
  }

  // What the model is given at a column: a token's id, or of an image the greys of a row.
  input(t) {
    const { image, ids, opened: { live: { side } } } = this;
    return image ? Float32Array.from(image.subarray(t * side, (t + 1) * side), (grey) => grey / 255) : ids[t];
  }

  keep(count) { // as many columns as are the same
    if (count >= this.count) return;
    this.trace.keep(count);
    this.likely.length = count;
    this.lost.length = Math.min(count, this.lost.length);
    for (const plane of this.planes.values()) plane.keep(count);
    for (const where of this.chosen.keys()) if (Number(where.split(" ")[1]) > count) this.chosen.delete(where);
  }

  readOn(deadline) {
    while (this.count < this.ids.length || this.rest) {
      if (this.count < this.ids.length) this.column(this.input(this.count));
      else this.countOn();
      if (performance.now() >= deadline) break;
    }
    return this.count === this.ids.length && !this.rest;
  }

  column(input) {
    const { trace, opened: { asked, best } } = this, t = this.count;
    if (!asked) this.lost.push(t ? trace.nll(t - 1, input) : NaN);
    trace.add(input);
    this.likely.push(trace.likely(t, best));
  }

  countOn() { // how much more there is
    const { done, value } = this.rest.next();
    if (done) this.rest = null;
    else this.dropped += this.opened.reads.split(value).length;
  }
}

const isLabel = (label) => label !== null && label !== undefined;

// How many entries both begin with.
export function common(a, b) {
  const last = Math.min(a.length, b.length);
  let t = 0;
  while (t < last && a[t] === b[t]) t++;
  return t;
}

// A text in slices, each of which is split by itself as the whole would be: a space ends what stands before it.
function* slicesOf(text) {
  for (let at = 0, end; at < text.length; at = end) {
    end = text.indexOf(" ", at + SLICE);
    if (end < 0) end = text.length;
    yield text.slice(at, end);
  }
}

// The first so many characters of a text; whether these are as many as that, so that there may be more.
function cutTo(text, most) {
  if (text.length < most) return { text, cut: false };
  const characters = Array.from(text.slice(0, 2 * most)).slice(0, most);
  return { text: characters.join(""), cut: characters.length === most };
}
