// Which units a map shows, and in which order: lstmviz/units.py, and `unit_order` of lstmviz/reading.py. The reasons are there.

import { FIRST, KINDS, LASTS, MOST, USUAL } from "./constants.js";
import { pattern } from "./vocabulary.js";

const KINDS_OF = Object.entries(KINDS).map(([kind, source]) => [kind, `^${source}`]);

// Units in the order in which their rows are drawn, of a `Reading` (reading.js); the telling ones in front where only they are.
export function unitOrder(reading, track, order) {
  const similar = reading.opened.live.similar[track];
  if (order === "index") return [...similar.keys()];
  if (order === "active") {
    const moved = spreads(reading.trace.held(track), similar.length);
    return [...similar.keys()].sort((a, b) => moved[b] - moved[a]);
  }
  if (order === "similar" || similar.length <= MOST) return similar;
  const [, first] = tellingUnits(reading, track);
  return [...first, ...similar.filter((unit) => !first.includes(unit))];
}

// The units that tell most about what was read, as `telling` chooses them on its first 8, 12, 16, 24, … tokens.
export function tellingUnits(reading, track) {
  const { chosen, pieces, opened: { live, together } } = reading, count = lookedAt(reading.count), name = `${track} ${count}`;
  if (!chosen.has(name)) {
    const { worth, few } = live.usual[track], usual = { worth, few, together: together[track] };
    chosen.set(name, telling(acts(reading, track, few, count), pieces.slice(0, count), usual, live.always));
  }
  return chosen.get(name);
}

// How many of so many tokens the choice is made on; the last one is still being typed.
export function lookedAt(length) {
  const ended = length - 1, power = 2 ** (31 - Math.clz32(ended));
  return ended < FIRST ? 0 : ended >= 1.5 * power ? 1.5 * power : power;
}

// What these units did at the first so many tokens in each role, as far as its colours go: Float32Array (T, R, F).
function acts({ trace, opened: { live } }, track, few, count) {
  const roles = live.usual_roles, did = new Float32Array(count * roles.length * few.length);
  roles.forEach((role, r) => {
    const values = trace.values(track, role), high = Math.fround(live.scales[track][role][1]);
    for (let t = 0; t < count; t++) {
      const at = (t * roles.length + r) * few.length;
      few.forEach((unit, k) => (did[at + k] = Math.max(-1, Math.min(1, values[t * live.size + unit] / high)) || 0)); // NaN is 0
    }
  });
  return did;
}

// The units that tell most about a sentence: the most telling first; and the same units, alike ones side by side.
//   did       what the F units of `few` did in each role, on that role's own scale, (T, R, F); T may be 0
//   tokens    those read, (T,)
//   usual     {worth: (H,), few: (F,), together: (F, F)}, see `Usual`
//   always    whether the first of these is taken first
export function telling(did, tokens, { worth, few, together }, always) {
  const size = few.length, here = tokens.length / (tokens.length + USUAL), moves = centred(did, tokens.length);
  const now = worthOf(moves, tokens, size), value = few.map((unit, k) => here * now[k] + (1 - here) * worth[unit]);
  const spread = variances(moves, size, tokens.length).map((variance, k) =>
    Math.sqrt(Math.max(1e-9, here * variance + (1 - here) * together[k * size + k])));
  const taken = [], rows = [], unlike = value.map(() => 1);
  const take = (one) => {
    const row = covariances(moves, size, tokens.length, one).map((own, k) => here * own + (1 - here) * together[one * size + k]);
    row.forEach((own, k) => (unlike[k] = Math.min(unlike[k], 1 - (own / spread[k] / spread[one]) ** 2)));
    taken.push(one);
    rows.push(row);
  };
  if (always) take(0);
  while (taken.length < Math.min(MOST, size)) {
    const gain = value.map((each, k) => (taken.includes(k) ? -1 : each * unlike[k]));
    take(gain.indexOf(Math.max(...gain)));
  }
  const order = around(rows.map((row) => taken.map((k) => row[k])));
  if (order.indexOf(0) >= order.length / 2) order.reverse(); // the most telling one is above the middle
  return [taken.map((k) => few[k]), order.map((k) => few[taken[k]])];
}

// All that units did, less its mean over time.
function centred(did, steps) {
  const width = did.length / steps, moves = new Float64Array(did.length);
  for (let k = 0; k < width; k++) {
    let sum = 0;
    for (let at = k; at < did.length; at += width) sum += did[at];
    for (let at = k; at < did.length; at += width) moves[at] = did[at] - sum / steps;
  }
  return moves;
}

// How much of what each unit does the eye can follow, (F,): the variance that is left of the means over all tokens of a kind, and
// over four tokens in turn.
function worthOf(moves, tokens, size) {
  const width = moves.length / tokens.length, turns = Math.floor(tokens.length / LASTS), worth = new Float64Array(size);
  const add = (times, share) => {
    for (let k = 0; k < width; k++) {
      let sum = 0;
      for (const t of times) sum += moves[t * width + k];
      worth[k % size] += share * (sum / times.length) ** 2;
    }
  };
  const kinds = new Map();
  tokens.map(kindOf).forEach((kind, t) => (kinds.has(kind) ? kinds.get(kind).push(t) : kinds.set(kind, [t])));
  for (const times of kinds.values()) add(times, times.length / tokens.length);
  for (let turn = 0; turn < turns; turn++) add(Array.from({ length: LASTS }, (_, k) => turn * LASTS + k), 1 / turns);
  return worth;
}

// What a token is to the eye: a capitalised word, another word or a number; other signs each for itself.
export const kindOf = (token) => KINDS_OF.find(([, source]) => token.search(pattern(source)) === 0)?.[0] ?? token;

// The covariance of what one unit did with what every one did, (F,).
function covariances(moves, size, steps, one) {
  const sums = new Float64Array(size);
  for (let at = 0; at < moves.length; at += size) {
    const own = moves[at + one];
    for (let k = 0; k < size; k++) sums[k] += own * moves[at + k];
  }
  return sums.map((sum) => sum / Math.max(1, steps));
}

function variances(moves, size, steps) {
  const sums = new Float64Array(size);
  for (let at = 0; at < moves.length; at++) sums[at % size] += moves[at] ** 2;
  return sums.map((sum) => sum / Math.max(1, steps));
}

// An order of rows that puts alike ones side by side, of the products of every row with every other one: by their angle in the plane
// of the two leading principal components, and the circle is cut at its widest gap.
export function around(products) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const means = products.map(mean), all = mean(means);
  const [first, second] = leading(products.map((row, a) => row.map((value, b) => value - means[a] - means[b] + all)));
  const angles = Array.from(first, (x, k) => Math.atan2(second[k], x));
  const order = [...angles.keys()].sort((a, b) => angles[a] - angles[b]);
  const gaps = order.map((row, k) => (k + 1 < order.length ? angles[order[k + 1]] : angles[order[0]] + 2 * Math.PI) - angles[row]);
  const begin = gaps.indexOf(Math.max(...gaps)) + 1;
  return [...order.slice(begin), ...order.slice(0, begin)];
}

// The two leading eigenvectors of a symmetric matrix without a negative eigenvalue. The second is the first of what is left.
function leading(matrix) {
  const size = matrix.length, left = Float64Array.from(matrix.flat()), first = principal(left, size);
  let value = 0; // of the first
  for (let k = 0; k < left.length; k++) value += first[Math.floor(k / size)] * left[k] * first[k % size];
  return [first, principal(left.map((entry, k) => entry - value * first[Math.floor(k / size)] * first[k % size]), size)];
}

// Its leading eigenvector, by squaring: of a high power little but that is left, and then each of its columns is a multiple.
function principal(matrix, size) {
  let power = matrix;
  for (let squared = 0; squared < 30; squared++) {
    let trace = 0;
    for (let k = 0; k < size; k++) trace += power[k * (size + 1)];
    if (!(trace > 0)) break; // there is nothing
    const scaled = power.map((entry) => entry / trace), pure = scaled.reduce((sum, entry) => sum + entry * entry, 0);
    power = scaled;
    if (pure > 1 - 1e-15) break; // the trace of the square is that of the matrix: all eigenvalues but one are 0
    power = square(scaled, size);
  }
  let most = 0;
  for (let k = 0; k < size; k++) if (power[k * (size + 1)] > power[most * (size + 1)]) most = k;
  const column = power.subarray(most * size, (most + 1) * size), length = Math.hypot(...column);
  return column.map((entry) => entry / (length || 1));
}

function square(matrix, size) { // a symmetric one: the products of its rows
  const made = new Float64Array(matrix.length);
  for (let a = 0; a < size; a++) for (let b = 0; b <= a; b++) {
    let sum = 0;
    for (let k = 0; k < size; k++) sum += matrix[a * size + k] * matrix[b * size + k];
    made[a * size + b] = made[b * size + a] = sum;
  }
  return made;
}

// How far what each unit holds, (T, H), strays over time: its standard deviation.
function spreads(held, size) {
  const steps = held.length / size;
  return variances(centred(held, steps), size, steps).map(Math.sqrt);
}
