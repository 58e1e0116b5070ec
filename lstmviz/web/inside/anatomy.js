// What there is to draw of a cell: a belt on which its memory goes from step to step, the valves that gates are, what is written
// and what is shown. All of it follows from the cell's equations and from what it says that it does, nothing from its name.

import { operationsOf, symbolsOf, text } from "../equations.js";

const AFFINE = ["+", "-", "*", "neg"];
const LABEL_MOST = 14; // signs that a box has room for
const OF_ALL = ["mean", "var"]; // of all numbers of a vector

// Of `cell`, {equations, symbols, states} of a header, and of what it `does`; {why}, a sentence, where it has no such drawing. Else
//   belt, before  the symbol of what it holds, and of that at the step before
//   past          that of what was shown at the step before
//   carries       whether anything stays on the belt; else it is made anew at every step
//   keep, write   valves: how much stays on the belt, and how much of the candidate comes to it; null where all of it does
//   candidate     the symbol of what is written
//   look          {valve, matrix, first}: what the candidate sees of the past goes through this valve, before or after this matrix; or null
//   show          {valve, source, through, shown, narrowed}: from the belt, or the candidate, through these boxes and this valve to
//                 what is shown, at last by a matrix where that is not null; null where what is on the belt is shown
//   boxes         by symbol the gates and the candidate, as they are made: see `boxOf`
//   rails         the vectors that boxes read, each a list of symbols: ["h'"], ["x"]
//   prepared      what is made of these vectors before boxes read them: symbols, as x_5, or LN; empty as a rule
// A valve is {symbol, gate, flipped, fixed, passed}: as it is written; the box that sets it, of whose value it may be what is missing
// to 1; or the number that it always is; and what has passed it, a tree.
export function anatomy({ equations, symbols, states }, does) {
  const belt = does.holds, before = `${belt}'`, recorded = Object.values(symbols);
  const none = (why) => ({ why: `${why} Its equations say all.` });
  if (!Object.values(states).includes(belt)) return none(`What it holds, ${text(belt)}, is not one state that goes from step to step, so there is no one belt to draw.`);
  const unlike = none(`${belt} is not a sum of what is kept and what is written, as drawings of such cells show it.`);

  const terms = summands(equations[belt]), carries = terms.filter((term) => factors(term).includes(before));
  const written = carries.length || terms.length === 1 ? terms.filter((term) => !carries.includes(term)) : [equations[belt]];
  if (carries.length > 1 || written.length !== 1) return unlike;
  const valveOf = (factor, passed) => {
    const symbol = text(factor), tree = equations[symbol] ?? factor;
    if (typeof tree === "number") return { symbol, gate: null, flipped: false, fixed: tree, passed };
    const [op, one, other] = tree, flipped = op === "-" && one === 1 && recorded.includes(other);
    return { symbol, gate: flipped ? other : symbol, flipped, fixed: null, passed };
  };
  const [keep, ...moreKeeps] = carries.flatMap((term) => factors(term).filter((factor) => factor !== before).map((factor) => valveOf(factor, term)));
  const writes = factors(written[0]), isWrite = (factor) => same(factor, does.writes);
  const [write] = writes.filter(isWrite).map((factor) => valveOf(factor, written[0]));
  const whole = writes.every(Array.isArray), [candidate, ...others] = whole ? [belt] : writes.filter((factor) => !isWrite(factor));
  if (moreKeeps.length || others.length || typeof candidate !== "string" || whole && carries.length) return unlike;

  const look = lookOf(equations[candidate], does.looks_back, valveOf);
  const show = states.hidden === belt ? null : showOf(equations[states.hidden], states.hidden, recorded, does.shows, valveOf);
  if (show === undefined) return unlike;

  const boxes = {}, gates = [keep, write, look?.valve, show?.valve].flatMap((valve) => valve?.gate ?? []);
  if (gates.some((symbol) => !(symbol in equations))) return unlike;
  for (const symbol of [...gates, candidate]) boxes[symbol] ??= boxOf(symbol, { equations, recorded, belt, before });
  const read = new Set(Object.values(boxes).flatMap(({ reads }) => reads)), past = `${states.hidden}'`;
  const more = [...read].filter((symbol) => symbol !== "x" && symbol !== past);
  const rails = [[past], more, ["x"]].filter((rail) => rail.some((symbol) => read.has(symbol)));
  const prepared = [...new Set(Object.values(boxes).flatMap((box) => box.prepared))];
  return { belt, before, past, carries: carries.length > 0, keep: keep ?? null, write: write ?? null, candidate, look, show, boxes, rails, prepared };
}

const summands = (tree) => (tree[0] === "+" ? tree.slice(1).flatMap(summands) : [tree]);
const factors = (tree) => (tree[0] === "*" ? tree.slice(1).flatMap(factors) : [tree]);
const every = (tree) => (Array.isArray(tree) ? [tree, ...tree.slice(1).flatMap(every)] : [tree]);

const same = (tree, other) => other !== null && text(tree) === text(other);

// The product by which the candidate sees so much of the past as a gate says.
function lookOf(tree, looks, valveOf) {
  const product = every(tree).find((part) => part[0] === "*" && part.slice(1).some((factor) => same(factor, looks)));
  if (!product) return null;
  const inside = every(product).find(([op]) => op === "@"), around = every(tree).find(([op, , vector]) => op === "@" && vector === product);
  return { valve: valveOf(looks, product), matrix: (inside ?? around)?.[1] ?? null, first: Boolean(inside) };
}

// h = o ⊙ tanh(c), W_hr (o ⊙ tanh(c)), o ⊙ c …; undefined where it is no such product.
function showOf(tree, shown, recorded, shows, valveOf) {
  const narrowed = tree[0] === "@" ? tree[1] : null, passed = narrowed ? tree[2] : tree, parts = factors(passed);
  const gate = parts.find((factor) => same(factor, shows)), [rest, ...others] = parts.filter((factor) => factor !== gate);
  const [source, ...more] = new Set(symbolsOf(["", rest]).filter((symbol) => recorded.includes(symbol)));
  if (others.length || more.length || source === undefined) return undefined;
  const through = [];
  let inner = rest;
  for (; Array.isArray(inner) && inner.length === 2; [, inner] = inner) { // a function of one thing
    through.unshift({ label: inner[0], tree: inner, of: [inner[0], "u"] });
  }
  if (inner !== source) through.unshift({ label: operationsOf(inner).some((op) => OF_ALL.includes(op)) ? "LN" : short(text(inner)), tree: inner, of: null });
  return { valve: gate === undefined ? null : valveOf(gate, passed), source, through, shown, narrowed };
}

const short = (label) => (label.length > LABEL_MOST ? "φ" : label);

// A gate as it is made:
//   tree      its equation
//   label     what its box says: σ, tanh, 1 − σ(u − 1)
//   inside    what the box is a function of, a tree: W_f x + U_f h' + b_f; null where that is more than one thing
//   of        the tree with u in the place of that; null, too
//   reads     the vectors which that is made of, x and states of the step before
//   peeks     where of the belt it sees its own unit: c', c
//   prepared  what is made of the vectors first
function boxOf(symbol, { equations, recorded, belt, before }) {
  const tree = equations[symbol], unrecorded = (part) => typeof part === "string" && part in equations && !recorded.includes(part);
  const mixes = (part) => (Array.isArray(part) ? ["@", "part"].includes(part[0]) || part.slice(1).some(mixes) : unrecorded(part) && mixes(equations[part]));
  const affine = (part) => !Array.isArray(part) || ["@", "part"].includes(part[0]) || AFFINE.includes(part[0]) && part.slice(1).every(affine);
  const shifted = (part) => ["+", "-"].includes(part[0]) && part.slice(1).some((arg) => typeof arg === "number"); // u − 1
  const insides = (part) => {
    if (!mixes(part)) return [];
    if (!Array.isArray(part)) return affine(equations[part]) ? [part] : insides(equations[part]);
    return affine(part) && !shifted(part) ? [part] : part.slice(1).flatMap(insides);
  };
  const found = new Map(insides(tree).map((part) => [text(part), part])), inside = found.size === 1 ? [...found.values()][0] : null;
  const put = (part) => (inside !== null && text(part) === text(inside) ? "u" : Array.isArray(part) ? [part[0], ...part.slice(1).map(put)] : part);
  const of = put(tree), label = text(of);

  const reads = new Set(), prepared = new Set(), peeks = new Set();
  const vector = (each, own) => { // down to x and the states of the step before
    if (each === "x" || each.endsWith("'")) return void reads.add(each);
    if (!unrecorded(each)) return;
    if (own) prepared.add(each);
    trace(equations[each], false);
  };
  const trace = (part, own = true) => { // what its matrices multiply, and what it sees of the belt; `own`: not of what is prepared
    if (unrecorded(part)) return trace(equations[part], own);
    const [op, ...args] = Array.isArray(part) ? part : [""];
    if (own && OF_ALL.includes(op)) prepared.add("LN");
    if (op === "@") return symbolsOf(args[1]).forEach((each) => vector(each, own));
    for (const arg of args) {
      if (op === "*" && (arg === before || arg === belt)) peeks.add(arg);
      else if (typeof arg === "string" && !own) vector(arg, own);
      else trace(arg, own);
    }
  };
  trace(tree);
  const single = label === "u" ? "linear" : label.endsWith("(u)") && !label.slice(0, -3).includes(" ") ? label.slice(0, -3) : short(label);
  return { tree, label: single, inside, of: inside === null ? null : of, reads: [...reads], peeks: [...peeks], prepared: [...prepared] };
}
