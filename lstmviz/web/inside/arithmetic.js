// One step of one layer as arithmetic, from the trees of the cell's equations: line by line as lstmviz/explain/arithmetic.py,
// which says more.
//
//   a Term   { text, value, index, op, parts, mixes, shown }: a part of an equation, and the number that it is for one unit;
//            `shown` is how that is written: of a sum so that what is written of its parts comes to what is written of it
//   mixes    { values, weights, vectors } of all numbers of a vector that make one; else null

import { evaluate, text } from "../equations.js";
import { number } from "../words.js";

const OF_ALL = ["mean", "var"], SUMS = ["+", "-"], CHAINS = [SUMS, ["*", "/"]];
const MOST = 5; // contributions that are told one by one
const TWO_DIGITS = 99.95; // up to which a number is written with two

// A step of a layer: what was read there, and the states of the step before. Values by symbol, and by the text of every part.
export function valuesOf(reading, layer, time) {
  const { trace, opened: { model, live } } = reading, { cell, side } = live;
  const row = (t) => Float32Array.from(reading.image.subarray(t * side, (t + 1) * side), (grey) => grey / 255);
  const x = layer ? trace.tracks[layer - 1].hidden.at(time) : model.read(reading.image ? row(time) : reading.ids[time]).x;
  const env = Object.assign(Object.create(model.layers[layer]), { x, first: +(time + trace.before === 0) });
  for (const [role, symbol] of Object.entries(cell.states)) env[`${symbol}'`] = trace.tracks[layer][role].at(time - 1);
  for (const [symbol, tree] of model.lines) env[symbol] = evaluate(tree, env, true);
  return env;
}

const sizeOf = (value) => (typeof value === "number" ? 1 : value.length);
const numberOf = (value, index) => (typeof value === "number" ? value : value[value.length > 1 ? index : 0]); // one is the same for all

// The lines [symbol, Term] of all equations that give this unit a number, as they can be computed; and of the others the symbols,
// of which each is all numbers of no one unit.
export function linesOf({ cell: { equations }, symbols, size, output }, values, unit) {
  const order = Object.keys(equations).filter((symbol) => text(equations[symbol]) !== symbol), found = new Map(); // 1 − z is no equation
  const waiting = Object.entries(symbols).filter(([role]) => role !== "hidden" || output === size).map(([, symbol]) => [symbol, unit]);
  while (waiting.length) {
    const [symbol, index] = waiting.pop(), key = `${symbol} ${index}`;
    if (found.has(key) || !order.includes(symbol)) continue;
    const term = termOf(equations[symbol], values, index);
    found.set(key, [symbol, fitted(term)]);
    for (const part of every(term)) if (!part.op) waiting.push([part.text, part.index]);
  }
  const lines = [...found.values()].sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
  return { lines, vectors: order.filter((symbol) => !lines.some(([own]) => own === symbol)) };
}

export function* every(term) {
  yield term;
  for (const part of term.parts) yield* every(part);
}

function termOf(whole, values, at) {
  const [tree, index] = inWhole(whole, values, at), own = text(tree), value = typeof tree === "number" ? tree : numberOf(values[own], index);
  const term = { text: own, value, index, op: "", parts: [], mixes: null, shown: number(value) };
  if (!Array.isArray(tree)) return term;
  const [op, ...args] = tree;
  if (op === "@") {
    const { values: all, columns } = values[text(args[0])], weights = all.subarray(index * columns, (index + 1) * columns);
    return { ...term, op, mixes: { values: values[text(args[1])], weights, vectors: joined(args[1], values) } };
  }
  if (OF_ALL.includes(op)) {
    const of = Array.from(values[text(args[0])]), mean = of.reduce((sum, each) => sum + each, 0) / of.length, weights = of.map(() => 1 / of.length);
    const mixes = op === "mean" ? { values: of, vectors: joined(args[0], values) } :
      { values: of.map((each) => (each - mean) ** 2), vectors: [[`(${text(args[0])} − mean)²`, of.length]] };
    return { ...term, op, mixes: { ...mixes, weights } };
  }
  return { ...term, op, parts: args.map((arg) => termOf(arg, values, index)) };
}

// The name and length of what a vector is joined of.
const joined = (vector, values) => (Array.isArray(vector) && vector[0] === "concat" ? vector.slice(1).flatMap((part) => joined(part, values)) :
  [[text(vector), sizeOf(values[text(vector)])]]);

// Where a number of a part of a vector, or of several joined, stands in that whole, or in that one of them.
function inWhole(tree, values, index) {
  const [op, ...args] = Array.isArray(tree) ? tree : [""];
  if (op === "part") {
    const [k, count, whole] = args;
    return inWhole(whole, values, k * Math.floor(sizeOf(values[text(whole)]) / count) + index);
  }
  if (op === "concat") {
    for (const arg of args) {
      const size = sizeOf(values[text(arg)]);
      if (index < size) return inWhole(arg, values, index);
      index -= size;
    }
  }
  return [tree, index];
}

// ---- how it is written -----------------------------------------------------------------------------------------------

// What is written of a number, in hundredths; null where that is not two digits.
const hundredths = (value) => (Math.abs(value) < TWO_DIGITS ? Math.round(Number(value.toFixed(2)) * 100) : null);
const written = (count) => number(count / 100);

const isSum = ({ op }) => SUMS.includes(op);
const isLiteral = ({ op, text: own }) => !op && /^\d/.test(own);

// A term with what is written of all its parts: see `Term.fitted` in Python.
export function fitted(term, shown = term.shown, count = hundredths(term.value)) {
  const { op, parts } = term, now = { ...term, shown };
  if (!parts.length) return now;
  if (op === "neg") return { ...now, parts: [fitted(parts[0], ...(count === null ? [] : [written(-count), -count]))] };
  if (op === "if") {
    const chosen = chosenOf(term);
    return { ...now, parts: parts.map((part) => (part === chosen ? fitted(part, shown, count) : fitted(part))) };
  }
  if (!isSum(term)) return { ...now, parts: parts.map((part) => fitted(part)) };
  const summands = summandsOf(term), counts = summands.map(([, part]) => hundredths(part.value));
  if (count !== null && !counts.includes(null)) {
    let left = count - summands.reduce((sum, [sign], k) => sum + sign * counts[k], 0);
    const sign = Math.sign(left), worked = summands.some(([, part]) => part.op);
    const takes = summands.map(([side, part], k) => [k, side * (100 * part.value - counts[k]) * sign])
      .filter(([k]) => (worked ? summands[k][1].op : !isLiteral(summands[k][1]))).sort(([, a], [, b]) => b - a);
    for (let k = 0; left && takes.length; k = (k + 1) % takes.length, left -= sign) counts[takes[k][0]] += sign * summands[takes[k][0]][0];
  }
  let k = summands.length;
  const again = (sum, all) => { // from the last to the first
    const last = fitted(sum.parts[1], ...(counts[--k] === null ? [] : [written(counts[k]), counts[k]]));
    const [head] = sum.parts, first = isSum(head) ? again(head, head) : fitted(head, ...(counts[--k] === null ? [] : [written(counts[k]), counts[k]]));
    return { ...all, parts: [first, last] };
  };
  return again(term, now);
}

// What was written into what is held, `holds`, as its equation shows it: of two summands the one in which what was held is not;
// null where it is no such sum.
export function wroteIn(lines, holds) {
  const { op, parts } = lines.find(([symbol]) => symbol === holds)?.[1] ?? {};
  if (op !== "+" || isSum(parts[0])) return null;
  const wrote = parts.filter((part) => ![...every(part)].some((each) => each.text === `${holds}'`));
  return wrote.length === 1 ? Number(wrote[0].shown.replaceAll("−", "-")) : null;
}

// The parts of a + b − c, each with its sign.
function summandsOf({ op, parts: [first, last] }) {
  return [...(isSum(first) ? summandsOf(first) : [[1, first]]), [op === "+" ? 1 : -1, last]];
}

const chosenOf = ({ parts: [condition, then, other] }) => (condition.value ? then : other); // of “a if b, else c” what it is
const goesOn = ({ op, parts: [first] }) => CHAINS.some((chain) => chain.includes(op) && chain.includes(first.op)); // a + b − c is one sum

// How often what is ready must be worked out until there is one number.
function heightOf(term) {
  if (term.op === "if") return heightOf(chosenOf(term));
  if (!term.parts.length) return 0;
  const [first, ...others] = term.parts.map(heightOf);
  return Math.max(first + !goesOn(term), ...others.map((height) => height + 1));
}

function shownTree(term, done, write, whole = true) {
  if (term.op === "if") return shownTree(chosenOf(term), done, write);
  if (isLiteral(term)) return term.value;
  if (!term.parts.length || (whole && heightOf(term) <= done)) {
    const said = write(term);
    return said.startsWith("−") ? ["neg", said.slice(1)] : said;
  }
  const { op } = term, first = shownTree(term.parts[0], done, write, !goesOn(term));
  const others = term.parts.slice(1).map((part) => shownTree(part, done, write)), [second] = others;
  if (SUMS.includes(op) && Array.isArray(second) && second[0] === "neg") return [op === "+" ? "-" : "+", first, second[1]]; // + (−0.34) is − 0.34
  return [op, first, ...others];
}

// The term worked out, ["σ(1.21 − 0.34 + 0.50)", "σ(1.37)", "0.80"]; of a condition what holds. `write` writes a number.
export function inNumbers(term, write = ({ shown }) => shown) {
  return [...new Set(Array.from({ length: heightOf(term) + 1 }, (_, done) => text(shownTree(term, done, write))))];
}

// What adds most to what mixes units, be it above or below 0, the largest first: { vector, index, weight, value, product, said }; and
// of the others, one at least of several, how many there are and what is written of their sum, which is what is left in the digits
// that are shown.
export function largest({ mixes: { values, weights, vectors }, value, shown }) {
  const products = Array.from(weights, (weight, k) => weight * values[k]);
  const order = products.map((_, k) => k).sort((a, b) => Math.abs(products[b]) - Math.abs(products[a])).slice(0, Math.min(MOST, Math.max(1, products.length - 1)));
  const told = order.map((k) => {
    let at = 0, index = k;
    while (index >= vectors[at][1]) index -= vectors[at++][1];
    return { vector: vectors[at][0], index, weight: weights[k], value: values[k], product: products[k] };
  });
  const rest = products.reduce((sum, product) => sum + product, 0) - told.reduce((sum, { product }) => sum + product, 0);
  const counts = told.map(({ product }) => hundredths(product)), two = Math.abs(value) < TWO_DIGITS && !counts.includes(null);
  const total = two ? Math.round(Number(shown.replace("−", "-")) * 100) : 0;
  return { told, others: products.length - told.length, rest, said: two ? written(total - counts.reduce((sum, count) => sum + count, 0)) : number(rest) };
}

// As Python prints it.
export function saidOf(term) {
  const { told, others, said } = largest(term);
  const lines = told.map(({ vector, index, weight, value, product }) => `${vector}[${index}]: ${number(weight)} · ${bracketed(value)} = ${number(product)}`);
  return [`${term.text} = ${term.shown}`, ...lines, ...(others ? [`the other ${others} = ${said}`] : [])].join("\n  ");
}

export const bracketed = (value) => number(value).replace(/^−.*/, "($&)");
