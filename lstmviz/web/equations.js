// Expressions of a cell's equations, as lstmviz/cells/equations.py writes them: a number, a symbol ("c'": of the step
// before), or [op, tree, …].

// On numbers; on vectors entry by entry, with a number, or a vector of one, for all entries. Each has a loop of its own, since one
// for all would call it at every entry, which takes several times as long.
const ENTRYWISE = {
  "+": (made, a, i, b, j) => { for (let n = 0; n < made.length; n++) made[n] = a[n * i] + b[n * j]; },
  "-": (made, a, i, b, j) => { for (let n = 0; n < made.length; n++) made[n] = a[n * i] - b[n * j]; },
  "*": (made, a, i, b, j) => { for (let n = 0; n < made.length; n++) made[n] = a[n * i] * b[n * j]; },
  "/": (made, a, i, b, j) => { for (let n = 0; n < made.length; n++) made[n] = a[n * i] / b[n * j]; },
  neg: (made, a) => { for (let n = 0; n < made.length; n++) made[n] = -a[n]; },
  "σ": (made, a) => { for (let n = 0; n < made.length; n++) made[n] = 1 / (1 + Math.exp(-a[n])); },
  tanh: (made, a) => { for (let n = 0; n < made.length; n++) made[n] = Math.tanh(a[n]); },
  exp: (made, a) => { for (let n = 0; n < made.length; n++) made[n] = Math.exp(a[n]); },
  ln: (made, a) => { for (let n = 0; n < made.length; n++) made[n] = Math.log(a[n]); },
  "√": (made, a) => { for (let n = 0; n < made.length; n++) made[n] = Math.sqrt(a[n]); },
  max: (made, a, i, b, j) => { for (let n = 0; n < made.length; n++) made[n] = Math.max(a[n * i], b[n * j]); },
  "≥": (made, a, i, b, j) => { for (let n = 0; n < made.length; n++) made[n] = +(a[n * i] >= b[n * j]); },
  if: (made, a, i, b, j, c, k) => { for (let n = 0; n < made.length; n++) made[n] = a[n * i] ? b[n * j] : c[n * k]; },
};
export const OPERATIONS = {
  ...Object.fromEntries(Object.entries(ENTRYWISE).map(([op, loop]) => [op, entrywise(loop)])),
  "@": product,
  concat: (...vectors) => Float64Array.from(vectors.flatMap((vector) => [...vector])),
  mean,
  var(vector) {
    const middle = mean(vector);
    return mean(vector.map((value) => (value - middle) ** 2));
  },
  part: (k, count, vector) => vector.subarray((k * vector.length) / count, ((k + 1) * vector.length) / count),
};

const isNumber = (value) => typeof value === "number", listed = (value) => (isNumber(value) ? [value] : value);

function entrywise(loop) {
  return (x, y = 0, z = 0) => {
    const a = listed(x), b = listed(y), c = listed(z), made = new Float64Array(Math.max(a.length, b.length, c.length));
    loop(made, a, +(a.length > 1), b, +(b.length > 1), c, +(c.length > 1));
    return isNumber(x) && isNumber(y) && isNumber(z) ? made[0] : made;
  };
}

function mean(vector) {
  let sum = 0;
  for (const value of vector) sum += value;
  return sum / vector.length;
}

// A matrix, `rows` × `columns`, times a vector; where it has a way of its own, as in simd.js, by that.
export function product(matrix, vector) {
  return (matrix.times ?? plainly)(matrix, vector);
}

// Eight rows at once, whose sums need not wait for each other: three times as fast as one by one.
function plainly({ values, rows, columns }, vector) {
  const v = new Float64Array(vector), made = new Float64Array(rows + 7), last = (rows - 1) * columns;
  const at = (row) => Math.min(row * columns, last); // where a row begins; the last one again and again
  for (let k = 0; k < rows; k += 8) {
    const [a, b, c, d, e, f, g, h] = [at(k), at(k + 1), at(k + 2), at(k + 3), at(k + 4), at(k + 5), at(k + 6), at(k + 7)];
    let [p, q, r, s, t, u, w, x] = [0, 0, 0, 0, 0, 0, 0, 0];
    for (let i = 0; i < columns; i++) {
      const y = v[i];
      p += values[a + i] * y;
      q += values[b + i] * y;
      r += values[c + i] * y;
      s += values[d + i] * y;
      t += values[e + i] * y;
      u += values[f + i] * y;
      w += values[g + i] * y;
      x += values[h + i] * y;
    }
    made.set([p, q, r, s, t, u, w, x], k);
  }
  return made.subarray(0, rows);
}

const [IF, COMPARISON, SUM, PRODUCT, TERM, FACTOR] = [0, 1, 2, 3, 4, 5]; // how tightly a text holds together
const BARE = ["ln", "mean", "var"]; // written without parentheses

// As the equations write it; of a tree once and for all.
const texts = new WeakMap();
export function text(tree) {
  if (!Array.isArray(tree)) return `${tree}`;
  if (!texts.has(tree)) texts.set(tree, written(tree)[0]);
  return texts.get(tree);
}

function written(tree) {
  if (!Array.isArray(tree)) return [`${tree}`, FACTOR];
  const [op, ...args] = tree, part = (k, least) => {
    const [said, level] = written(args[k]);
    return level >= least ? said : `(${said})`;
  };
  if (op === "neg") return [`−${part(0, PRODUCT)}`, SUM];
  if (op === "+" || op === "-") return [`${part(0, SUM)} ${op === "-" ? "−" : op} ${part(1, PRODUCT)}`, SUM];
  if (op === "*" && typeof args[0] === "number" && !/^\d/.test(part(1, TERM))) return [`${args[0]}${part(1, TERM)}`, TERM];
  if (op === "*" || op === "/") return [`${part(0, PRODUCT)} ${op === "*" ? "⊙" : op} ${part(1, TERM)}`, PRODUCT];
  if (BARE.includes(op) && written(args[0])[1] === FACTOR) return [`${op} ${text(args[0])}`, FACTOR];
  if (op === "@") return [`${part(0, FACTOR)} ${part(1, TERM)}`, TERM];
  if (op === "≥") return [`${part(0, SUM)} ≥ ${part(1, SUM)}`, COMPARISON];
  if (op === "if") return [`${part(1, COMPARISON)} if ${part(0, COMPARISON)}, else ${part(2, IF)}`, IF];
  const inside = args.map(text).join(", ");
  return [op === "concat" ? `[${inside}]` : `${op}(${inside})`, FACTOR];
}

// The value of a tree, where `env` has the values of symbols: numbers, vectors, and of matrices {values, rows, columns, times}. What it
// has under a part's own text is taken as it is; with `keep`, the value of every part is left there. NaN where something is not
// known.
export function evaluate(tree, env, keep = false) {
  if (typeof tree === "number") return tree;
  const own = text(tree), given = env[own];
  if (given !== undefined) return given;
  if (!Array.isArray(tree)) return NaN;
  const [op, ...args] = tree, value = OPERATIONS[op](...args.map((arg) => evaluate(arg, env, keep)));
  if (keep) env[own] = value;
  return value;
}

// The symbols of a tree, its operations, and all trees in it, itself the last.
export const symbolsOf = (tree) => (Array.isArray(tree) ? tree.slice(1).flatMap(symbolsOf) : typeof tree === "string" ? [tree] : []);
export const operationsOf = (tree) => (Array.isArray(tree) ? [tree[0], ...tree.slice(1).flatMap(operationsOf)] : []);
export const partsOf = (tree) => (Array.isArray(tree) ? [...tree.slice(1).flatMap(partsOf), tree] : [tree]);
