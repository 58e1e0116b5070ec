// What the gate map draws of a reading: the very object that `decode` (wire.js) makes of the server's message, field by field as
// `payload` in lstmviz/wire.py.

import { FEW_LABELS, LEVELS, MOST, NAN } from "./constants.js";
import { roomFor } from "./engine.js";
import { filled } from "./notes.js";
import { common } from "./reading.js";
import { tellingUnits, unitOrder } from "./units.js";

// All of a map. `layers` are the tracks, `roles` those drawn as panels, `order` that of the rows, `selection` time, unit and
// layer, `written` what the model has written itself: the text, and the time of its first own token. Null where nothing was read.
// A panel's codes are good until the reading goes on.
export function drawn(reading, { layers, roles, order, selection, written = null }) {
  const { count, typed, signs, nll, opened: { live } } = reading;
  if (!count) return null;
  return {
    title: live.title,
    ...columnsOf(reading),
    tokens: signs.slice(0, count),
    unknown: unknownIn(reading),
    typed: typed.slice(0, count),
    generated_from: written && reading.text.startsWith(written[0]) ? written[1] : null,
    nll: numbers(nll),
    running_nll: numbers(runningMean(nll)),
    answer: answerOf(reading),
    begun: null,
    attention: null,
    beside: null,
    top: saidAfter(reading),
    panels: panelsOf(reading, layers, roles),
    ...rowsOf(reading, layers, order),
    layers,
    selection,
    annotation: live.annotation[selection.layer],
    begins: live.begins,
    symbols: live.symbols,
    does: live.does,
    lets_out: live.lets_out,
    resets: live.resets,
    blocks: [],
  };
}

export function columnsOf({ image, right, opened: { live, says } }) {
  const { level, column, noun, whole, asks } = live.task, shows = image && right ? says.display(right.at(-1)) : "drawing";
  const headline = image ? filled(live.notes.image, { label: shows }) : "";
  return { level, column, noun, whole, asks, headline, image: image ? codeOf(image) : "", said_from: 0, parents: [] };
}

const codeOf = (greys) => Array.from(greys, (grey) => Math.floor(grey / 17).toString(16)).join("");

export function unknownIn({ ids, count, opened: { reads } }) {
  const unknown = reads.ids.get("<unk>");
  return ids.slice(0, count).map((id) => id === unknown);
}

// Which label a model should say at each column; nothing where it says what comes next.
export function answerOf({ likely, nll, right, count, opened: { live, asked, says } }) {
  if (!asked) return null;
  const { asked_last: last } = live.task, known = right !== null, end = likely.at(-1).ids[0] ?? null;
  const labels = known ? right.slice(0, count) : likely.map(({ ids }) => (last ? end : ids[0] ?? null));
  const given = known ? nll.map((loss) => Math.exp(-loss)) :
    likely.map(({ ids, probabilities }, t) => probabilities[ids.indexOf(labels[t])] ?? 0);
  return { labels: labels.map((label) => (label === null ? null : says.display(label))), known, last, probability: numbers(given) };
}

// So many of the tokens that may come after each column, or of the labels that may be right, the likeliest first.
export const likeliest = (reading, most) => told(reading, most, false);

// The five likeliest; but where there are few labels, all in their own order: so each grows in its place.
function saidAfter(reading) {
  const { asked, best, says } = reading.opened, few = asked && best === says.length && best <= FEW_LABELS;
  return told(reading, few ? best : 5, few);
}

const rows = new WeakMap(); // what is likely after a column -> what is told of it: a key changes one of many

function told({ likely, opened }, most, byId) {
  const found = { tokens: [], typed: {}, probabilities: [] }, how = `${most} ${byId}`;
  for (const after of likely) {
    if (rows.get(after)?.how !== how) {
      const pairs = Array.from(after.ids.slice(0, most), (id, k) => [id, rounded(after.probabilities[k])]);
      if (byId) pairs.sort(([a], [b]) => a - b);
      const signs = pairs.map(([id]) => opened.sign(id));
      rows.set(after, {
        how, tokens: signs.map(([sign]) => sign), others: signs.filter(([sign, typed]) => sign !== typed), probabilities: pairs.map(([, p]) => p),
      });
    }
    const { tokens, others, probabilities } = rows.get(after);
    found.tokens.push(tokens);
    found.probabilities.push(probabilities);
    for (const [sign, typed] of others) found.typed[sign] = typed;
  }
  return found;
}

// ---- values ----------------------------------------------------------------------------------------------------------

// A description and the codes of every gate and state of these tracks. `scales` are the ends of their colours, by default the
// model's own; `slots` the rows of a comparison in which they stand, by role.
export function panelsOf(reading, layers, roles, scales = null, slots = {}) {
  return layers.flatMap((layer) => reading.opened.live.roles.map((look) =>
    ({ ...panelOf(reading, layer, look, scales), drawn: roles.includes(look.role), slot: slots[look.role] ?? null })));
}

// The same of one gate or state, as `look` of the model's roles says it looks.
export function panelOf(reading, layer, look, scales = null) {
  const { count, opened: { live } } = reading, { role } = look;
  const [least, end] = (scales ?? live.scales[layer])[role], plane = planeOf(reading, layer, role);
  // Colours stop at the fixed ends; numbers go as far as the values do, in steps that a key seldom crosses.
  const high = end * 2 ** Math.ceil(Math.log2(Math.max(1, plane.most / end))), low = least < 0 ? -high : least;
  return {
    ...look, layer, layer_label: live.tracks[layer].label, reverse: false, low, high, limit: end, signed: low < 0,
    mean: Number.isFinite(plane.mean) ? plane.mean : null, drawn: true, begin: 0, end: count,
    slot: null, size: live.size, codes: plane.coded(low, high),
  };
}

function planeOf({ planes, trace, opened: { live } }, layer, role) {
  const name = `${layer} ${role}`;
  if (!planes.has(name)) planes.set(name, new Plane(live.size));
  const plane = planes.get(name);
  plane.take(trace.values(layer, role));
  return plane;
}

// The values of a gate or state as codes. A key adds a column; those before it are not looked at again while the ends stay.
class Plane {
  constructor(size) {
    Object.assign(this, { size, values: null, sums: [], mosts: [], codes: new Uint16Array(0), done: 0 });
  }

  get most() { return this.mosts.at(-1) ?? 0; }
  get mean() { return this.sums.at(-1) / (this.sums.length * this.size); }

  keep(count) {
    this.sums.length = this.mosts.length = Math.min(count, this.sums.length);
    this.done = Math.min(count, this.done);
    this.values = null; // of the text before
    this.codes = roomFor(this.codes, count * this.size, this.done * this.size);
  }

  take(values) { // of all columns, (time, unit): their sum up to each, and the largest, either way
    this.values = values;
    const { size, sums, mosts } = this;
    for (let t = sums.length; t < values.length / size; t++) {
      let sum = sums[t - 1] ?? 0, most = mosts[t - 1] ?? 0;
      for (let k = t * size; k < (t + 1) * size; k++) {
        const far = Math.abs(values[k]);
        sum += values[k];
        if (far > most && far < Infinity) most = far;
      }
      sums.push(sum);
      mosts.push(most);
    }
  }

  coded(low, high) {
    const { values, size } = this, step = LEVELS / (high - low);
    if (low !== this.low || high !== this.high) Object.assign(this, { low, high, done: 0 });
    const codes = this.codes = roomFor(this.codes, values.length, this.done * size);
    for (let k = this.done * size; k < values.length; k++) {
      const code = (values[k] - low) * step;
      codes[k] = code >= LEVELS ? LEVELS : code > 0 ? code + 0.5 : code <= 0 ? 0 : NAN; // what is no number is none of these
    }
    this.done = values.length / size;
    return codes.subarray(0, values.length);
  }
}

// ---- rows and selection ----------------------------------------------------------------------------------------------

// For each of these tracks all units in the order of their rows and, if only some are shown, which go first.
export function rowsOf(reading, tracks, order) {
  const several = order === "telling" && reading.opened.live.size > MOST;
  return {
    units: tracks.map((track) => unitOrder(reading, track, order)),
    telling: several ? tracks.map((track) => tellingUnits(reading, track)[0]) : [],
  };
}

// The last token that is new, or the one before what was taken out; what follows it ended the old text too. Null where nothing
// changed, as at a space behind a word.
export function lastChanged(before, after) {
  const head = common(before, after);
  if (head === before.length && head === after.length) return null;
  const tail = common(before.slice(head).reverse(), after.slice(head).reverse());
  return Math.max(0, after.length - 1 - tail);
}

// What the page's address says of a selection; what leads to the first look anyway need not change at every key.
export const linked = ({ time, unit }, last) => ({ time: time === last ? null : `${time}`, unit: `${unit}` });

// ---- numbers ---------------------------------------------------------------------------------------------------------

const rounded = (value) => Math.round(value * 1e4) / 1e4;
export const numbers = (values) => Array.from(values, (value) => (Number.isFinite(value) ? rounded(value) : null));

// The mean of all values up to each; those that are not finite do not count, and have none.
export function runningMean(values) {
  let sum = 0, count = 0;
  return Array.from(values, (value) => (Number.isFinite(value) ? (sum += value) / ++count : NaN));
}
