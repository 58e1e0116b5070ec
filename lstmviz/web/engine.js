// Runs a model in the page: its cell's equations as they are written, on the weights that lstmviz/live.py sends with them.

import { evaluate, operationsOf, OPERATIONS, partsOf, product, symbolsOf, text } from "./equations.js";
import { inMemory } from "./simd.js";

const TOKENS_KEPT = 512; // of which is kept what the first layer makes of the token alone
const SCORES_KEPT = 1 << 20; // numbers
const LEAST = 1 << 14; // numbers of a gate or state, for which there may always be room

// A model of a header `live` (see `Live` in lstmviz/live.py) and its `weights`, one Float32Array. It throws where it cannot be run.
export class Model {
  constructor(live, weights) {
    let nothing = 0;
    for (let k = 0; k < weights.length; k++) nothing += 0 * weights[k];
    if (nothing !== 0) throw new Error("the weights of this model are not all finite numbers");
    const { cell } = live, { weights: held, times } = inMemory(weights), numbers = ({ at, shape: [rows, columns] }) => {
      const values = held.subarray(at, at + rows * (columns ?? 1));
      if (values.length < rows * (columns ?? 1)) throw new Error("the weights of this model are cut short");
      return columns === undefined ? values : { values, rows, columns, times };
    };
    Object.assign(this, { live, weights: held });
    const affine = ({ weight, bias }) => ({ weight: numbers(weight), bias: bias && numbers(bias) });
    this.lines = linesOf(cell.equations);
    const lacking = this.lines.flatMap(([, tree]) => operationsOf(tree)).filter((op) => !(op in OPERATIONS));
    if (lacking.length) throw new Error(`the equations of ${cell.name} use ${[...new Set(lacking)].join(", ")}, which the page cannot compute`);
    this.layers = live.weights.map((refs) => Object.fromEntries(Object.entries(refs).map(([symbol, ref]) => [symbol, numbers(ref)])));
    this.input = affine(live.input);
    const { decoder } = live;
    this.decoder = decoder.head ? { head: affine(decoder.head), small: numbers(decoder.small), tail: affine(decoder.tail) } : affine(decoder);
    this.ofInput = ofInput(this.lines, live.weights[0]);
    this.known = new Map(); // id -> what the first layer makes of it alone
  }

  // What the first layer makes of an input alone: a token's id, or a row of an image. Values by symbol, the layer's weights too.
  read(input) {
    const { weight } = this.input, { columns } = weight;
    if (typeof input !== "number") return this.begun(map(this.input, input));
    if (!this.known.has(input)) {
      if (this.known.size >= TOKENS_KEPT) this.known.delete(this.known.keys().next().value); // the first that came
      this.known.set(input, this.begun(weight.values.subarray(input * columns, (input + 1) * columns)));
    }
    return this.known.get(input);
  }

  begun(x) {
    const made = Object.assign(Object.create(this.layers[0]), { x }), env = Object.assign(Object.create(this.layers[0]), { x });
    for (const [name, tree] of this.ofInput) env[name] = made[name] = evaluate(tree, made, true); // and not each of its parts
    return env;
  }

  // ln p (V,) of what the last layer shows.
  scores(hidden) {
    const { head, small, tail } = this.decoder;
    if (!head) return normalised(map(this.decoder, hidden));
    const common = normalised(map(head, hidden)), rare = normalised(map(tail, product(small, hidden)));
    const count = common.length - 1, made = new Float64Array(count + rare.length); // the last of the common is "a rarer one"
    made.set(common.subarray(0, count));
    rare.forEach((value, k) => (made[count + k] = common[count] + value));
    return made;
  }
}

// The equations as [symbol, tree]. A gate that is a part of another one, as 1 − z, stands before it.
function linesOf(equations) {
  const lines = Object.entries(equations).map(([symbol, tree]) => [symbol, tree, text(tree) === symbol]);
  const parts = new Set(lines.filter(([, , isPart]) => isPart).map(([symbol]) => symbol)); // that do not stand there yet
  return lines.flatMap(([symbol, tree, isPart]) =>
    [...partsOf(tree).map((part) => [text(part), part]).filter(([part]) => parts.delete(part)), ...(isPart ? [] : [[symbol, tree]])]);
}

// What depends on x and weights alone, by symbol, or by the text of a part of an equation: the largest parts that there are.
function ofInput(lines, weights) {
  const known = new Set(["x", ...Object.keys(weights)]);
  const alone = (tree) => symbolsOf(tree).every((symbol) => known.has(symbol));
  const parts = (tree) => (!Array.isArray(tree) ? [] : alone(tree) ? [[text(tree), tree]] : tree.slice(1).flatMap(parts));
  return lines.flatMap(([symbol, tree]) => {
    if (!alone(tree)) return parts(tree);
    known.add(symbol);
    return [[symbol, tree]];
  });
}

function map({ weight, bias }, vector) { // W v + b
  const made = product(weight, vector);
  for (let k = 0; bias && k < made.length; k++) made[k] += bias[k];
  return made;
}

// ln p of scores, in their place.
function normalised(scores) {
  let most = -Infinity, sum = 0;
  for (const score of scores) most = Math.max(most, score);
  for (const score of scores) sum += Math.exp(score - most);
  const all = most + Math.log(sum);
  for (let k = 0; k < scores.length; k++) scores[k] -= all;
  return scores;
}

// An array with room for so many numbers, of which the first `kept` are those of `values`: twice as many where it has to grow, or
// would stand empty for the most part, as when a long text has gone.
export function roomFor(values, length, kept) {
  if (length <= values.length && values.length <= 4 * Math.max(length, LEAST)) return values;
  const made = new values.constructor(2 * length);
  made.set(values.subarray(0, kept));
  return made;
}

// The values of a gate or state, step behind step; before the first of them what it begins with.
class Steps {
  constructor(size) {
    this.size = size;
    this.values = new Float32Array(32 * size);
  }

  keep(count) {
    const length = (count + 1) * this.size;
    this.values = roomFor(this.values, length, length);
  }

  at(time) {
    return this.values.subarray((time + 1) * this.size, (time + 2) * this.size);
  }

  put(time, value) { // of a vector, or a number for all units
    this.values = roomFor(this.values, (time + 2) * this.size, (time + 1) * this.size);
    if (typeof value === "number") this.at(time).fill(value);
    else this.at(time).set(value);
  }
}

// What a model did at everything that it has read, `count` columns. A view of the values is good until the next is read.
export class Trace {
  constructor(model, alike = null) { // another trace of the model: then it is known what its context leaves
    const { cell, size, output, context } = model.live;
    this.model = model;
    this.roles = Object.entries(cell.symbols);
    this.tracks = model.layers.map(() => Object.fromEntries(this.roles.map(([role]) => [role, new Steps(role === "hidden" ? output : size)])));
    this.count = 0;
    this.before = 0; // tokens that were read before the first column
    this.said = new Map(); // time -> ln p after it
    this.likeliest = new Map(); // time -> what is likely then
    if (!alike) for (const id of context) this.add(id);
    this.take(alike ?? this, alike ? -1 : this.count - 1, -1);
    this.before = context.length;
    this.keep(0);
  }

  // A column, at the time `to`, as a trace of the same model has it at a time; and of one layer.
  take(trace, time, to) {
    for (const k of this.tracks.keys()) this.takeLayer(k, trace, time, to);
  }

  takeLayer(k, trace, time, to) {
    for (const [role] of this.roles) this.tracks[k][role].put(to, trace.tracks[k][role].at(time));
  }

  // Forgets all columns but the first `count`.
  keep(count) {
    this.count = Math.min(this.count, count);
    for (const steps of this.tracks.flatMap(Object.values)) steps.keep(this.count);
    for (const memory of [this.said, this.likeliest]) for (const time of memory.keys()) if (time >= this.count) memory.delete(time);
  }

  // Reads on by a column: a token's id, or the greys of an image's row, a Float32Array.
  add(input) {
    const { model, tracks, count } = this;
    for (let k = 0; k < tracks.length; k++)
      this.step(k, k ? Object.assign(Object.create(model.layers[k]), { x: tracks[k - 1].hidden.at(count) }) : Object.create(model.read(input)));
    this.count++;
  }

  // A layer's step of what it is given, `env.x`.
  step(k, env) {
    const { model, count } = this, track = this.tracks[k];
    env.first = +(count + this.before === 0);
    for (const [role, symbol] of Object.entries(model.live.cell.states)) env[`${symbol}'`] = track[role].at(count - 1);
    this.begin(k, env);
    for (const [symbol, tree] of model.lines) {
      env[symbol] ??= evaluate(tree, env, true);
      this.made(k, symbol, env);
    }
    for (const [role, symbol] of this.roles) track[role].put(count, env[symbol]);
  }

  // What is done to the values of a step before its first line, and after each: see forcing.js.
  begin() {}
  made() {}

  // The values of a gate or state, (count × units), column behind column.
  values(track, role) {
    const { size, values } = this.tracks[track][role];
    return values.subarray(size, (this.count + 1) * size);
  }

  // The value of an expression of recorded symbols for every unit, (count × units); NaN where the step before is needed and is
  // no column.
  worked(track, tree) {
    if (!this.count) return new Float32Array();
    const asked = symbolsOf(tree), env = {};
    for (const [role, symbol] of this.roles) {
      const { size } = this.tracks[track][role], values = this.values(track, role);
      if (asked.includes(symbol)) env[symbol] = values;
      if (!asked.includes(`${symbol}'`)) continue;
      env[`${symbol}'`] = new Float32Array(values.length).fill(NaN);
      env[`${symbol}'`].set(values.subarray(0, -size), size);
    }
    return new Float32Array(evaluate(tree, env));
  }

  // What every unit holds, as its cell says.
  held(track) {
    return this.worked(track, this.model.live.does.holds);
  }

  // ln p of every token, or label, after a column; -1 is before the first.
  scores(time) {
    if (!this.said.has(time)) {
      const made = this.model.scores(this.tracks.at(-1).hidden.at(time));
      if (this.said.size * made.length >= SCORES_KEPT) this.said.delete(this.said.keys().next().value);
      this.said.set(time, new Float32Array(made));
    }
    return this.said.get(time);
  }

  // The loss in nats of a token, or label, after a column.
  nll(time, id) {
    return -this.scores(time)[id];
  }

  // The k likeliest tokens or labels after a column, the likeliest first: {ids, probabilities}.
  likely(time, k) {
    const asked = Math.min(k, this.model.live.vocabulary.tokens.length);
    if (!(this.likeliest.get(time)?.ids.length >= asked)) this.likeliest.set(time, best(this.scores(time), asked));
    const { ids, probabilities } = this.likeliest.get(time);
    return { ids: ids.slice(0, asked), probabilities: probabilities.slice(0, asked) };
  }
}

// The k largest of ln p, in one pass; what is no number is none of them.
function best(scores, k) {
  const ids = [];
  let least = -Infinity;
  for (let id = 0; id < scores.length; id++) {
    if (!(scores[id] > least)) continue;
    let place = ids.length;
    while (place && scores[ids[place - 1]] < scores[id]) place--;
    ids.splice(place, 0, id);
    if (ids.length > k) ids.pop();
    if (ids.length === k) least = scores[ids[k - 1]];
  }
  return { ids, probabilities: ids.map((id) => Math.exp(scores[id])) };
}
