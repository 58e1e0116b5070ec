// What would be if a gate were held: a model that reads on under interventions, as lstmviz/explain/forcing.py.
//   {role, layer, units, from, to, op: "hold", value}   that gate or state has this value wherever the equations name it, and so
//                                                       has what is computed from it; of these units, of all where that is null;
//                                                       at the tokens `from` … `to`, to the end where that is null
//   {role, layer, units, from, to, op: "scale", value}  what these tokens find of that state, times this
//   {op: "cut", at}                                     this token finds all states as before the first one
//   {op: "token", at, token}                            this token stands at that place
// Of two that hold the same the later one counts. Units, layers and roles that the model lacks are passed over.

import { symbolsOf, partsOf, text } from "./equations.js";
import { Trace } from "./engine.js";
import { common, Reading } from "./reading.js";

// When an intervention begins to count.
export const beginOf = ({ at, from }) => at ?? from;
const lasts = ({ from, to }, time) => from <= time && (to === null || time <= to);

export class ForcedTrace extends Trace {
  constructor(plain) {
    super(plain.model, plain);
    this.plain = plain;
    this.force([]);
  }

  // The interventions from now on; who changes them keeps the columns before the first that counts.
  force(interventions) {
    const { cell } = this.model.live;
    this.changes = this.tracks.map((_, k) => interventions.filter(({ layer, role }) => layer === k && role in cell.symbols));
    this.cuts = new Set(interventions.filter(({ op }) => op === "cut").map(({ at }) => at));
    this.lowest = Math.min(...interventions.map(({ layer }) => layer ?? 0)); // nothing changes in the layers below
  }

  step(k, env) {
    if (k < this.lowest && this.count < this.plain.count) this.takeLayer(k, this.plain, this.count, this.count);
    else super.step(k, env);
  }

  begin(k, env) {
    const { states } = this.model.live.cell;
    if (this.cuts.has(this.count)) {
      for (const symbol of Object.values(states)) env[`${symbol}'`] = new Float32Array(env[`${symbol}'`].length);
      env.first = 1;
    }
    for (const { role, units, value } of this.now(k, "scale").filter(({ role }) => role in states))
      env[`${states[role]}'`] = changed(env[`${states[role]}'`], units, (was) => value * was);
  }

  made(k, symbol, env) {
    const { cell } = this.model.live, was = env[symbol];
    for (const { role, units, value } of this.now(k, "hold")) {
      if (cell.symbols[role] !== symbol) continue;
      if (typeof env[symbol] === "number") env[symbol] = new Float64Array(this.tracks[k][role].size).fill(env[symbol]);
      // What would be recorded as the same stays as it is: so a gate that is held at its own value changes nothing, to the bit.
      env[symbol] = changed(env[symbol], units, (own) => (Math.fround(own) === Math.fround(value) ? own : value));
    }
    if (env[symbol] !== was) for (const name of dependents(this.model.ofInput, symbol)) env[name] = undefined;
  }

  now(k, op) { return this.changes[k].filter((change) => change.op === op && lasts(change, this.count)); }
}

// A copy of values in which those of some units, or of all, are changed.
function changed(values, units, change) {
  const made = values.slice();
  for (const unit of units ?? made.keys()) if (unit < made.length) made[unit] = change(made[unit]);
  return made;
}

// What was made of the input alone, and is another where this symbol has another value.
function dependents(ofInput, symbol) {
  const found = new Set([symbol]);
  for (const [name, tree] of ofInput) if (partsOf(tree).some((part) => found.has(text(part)))) found.add(name);
  found.delete(symbol);
  return found;
}

// Reads what another reading has read, under interventions. What is the same in both is not computed again, nor what was before
// the first intervention that changes.
export class ForcedReading extends Reading {
  constructor(plain) {
    super(plain.opened, plain.most, new ForcedTrace(plain.trace));
    Object.assign(this, { plain, interventions: [] });
    this.force([]);
  }

  force(interventions) {
    const same = common(this.interventions.map(JSON.stringify), interventions.map(JSON.stringify));
    const others = [...this.interventions.slice(same), ...interventions.slice(same)];
    this.keep(Math.min(...others.map(beginOf), this.count));
    this.interventions = interventions;
    this.first = Math.min(...interventions.map(beginOf)); // ∞ where there are none
    this.trace.force(interventions);
    this.followed = null;
  }

  // Reads on as far as the other one did, until the time `deadline` of performance.now(); whether it did.
  follow(deadline = Infinity) {
    if (this.followed !== this.plain.ids) this.take();
    while (this.count < this.plain.count) {
      this.column(this.input(this.count));
      if (performance.now() >= deadline) break;
    }
    return this.count === this.plain.count;
  }

  take() {
    const { plain, opened: { reads } } = this, { text, image, before } = plain;
    const [pieces, typed, signs, ids] = [plain.pieces, plain.typed, plain.signs, plain.ids].map((list) => [...list]);
    const put = image ? [] : this.interventions.filter(({ op, at }) => op === "token" && at < ids.length);
    for (const { at, token } of put) {
      [pieces[at], typed[at], [ids[at]]] = [token, reads.display(reads.encode([token])[0]), reads.encode([token])];
      signs[at] = reads.display(ids[at]);
    }
    this.keep(common(this.ids, ids));
    Object.assign(this, { text, image, before, pieces, typed, signs, ids, right: put.length ? this.rightOf(pieces) : plain.right, followed: plain.ids });
  }

  column(input) {
    const { plain, trace, count, opened: { asked } } = this;
    if (count >= this.first) return super.column(input);
    if (!asked) this.lost.push(plain.lost[count]);
    this.likely.push(plain.likely[count]);
    trace.take(plain.trace, count, trace.count++);
  }
}

// ---- which unit matters ------------------------------------------------------------------------------------------------

// The state in which a cell holds what it remembers: its c or, where there is none, h.
export function memoryOf({ does, cell: { states } }) {
  const asked = symbolsOf(does.holds);
  return Object.keys(states).find((role) => states[role] === asked[0]) ?? "hidden";
}

// That every token finds nothing in the memory of a unit.
export const withoutMemory = (live, layer, unit) =>
  ({ op: "scale", role: memoryOf(live), layer, units: [unit], from: 0, to: null, value: 0 });

// The loss of a column of a reading by a trace of it, in nats; NaN where there is none.
function lossAt({ opened: { asked }, right, ids }, trace, time) {
  if (asked) return Number.isInteger(right?.[time]) ? trace.nll(time, right[time]) : NaN;
  return time ? trace.nll(time - 1, ids[time]) : NaN;
}

// How many nats larger the loss is without the memory of each unit of a layer, in turn: at a time, or as the mean over all where
// that is null. It comes back after every column, with {unit, by} where a unit is done, so that who asks may rest, or stop.
export function* ablated(reading, layer, time) {
  const { trace: plain, opened: { live, asked } } = reading, trace = new ForcedTrace(plain), last = time ?? reading.count - 1;
  const times = time === null ? [...Array(reading.count).keys()] : [time];
  const mean = (of) => {
    const known = times.map((t) => lossAt(reading, of, t)).filter((loss) => !Number.isNaN(loss));
    return known.reduce((sum, loss) => sum + loss, 0) / known.length;
  };
  const before = mean(plain);
  for (let unit = 0; unit < live.size; unit++) {
    trace.keep(0);
    trace.force([withoutMemory(live, layer, unit)]);
    while (trace.count < last + asked) {
      trace.add(reading.input(trace.count));
      yield null;
    }
    yield { unit, by: mean(trace) - before };
  }
}
