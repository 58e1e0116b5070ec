// Expressions of a cell's equations, as lstmviz/cells/equations.py writes them: a number, a symbol ("c'": of the step
// before), or [op, tree, …].

const sigmoid = (a) => 1 / (1 + Math.exp(-a));
const OPERATIONS = {
  "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b, neg: (a) => -a,
  "σ": sigmoid, tanh: Math.tanh, exp: Math.exp, ln: Math.log, "√": Math.sqrt, max: Math.max,
};
const [SUM, PRODUCT, TERM, FACTOR] = [0, 1, 2, 3]; // how tightly a text holds together

// As the equations write it.
export const text = (tree) => written(tree)[0];

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
  if (op === "ln" && written(args[0])[1] === FACTOR) return [`ln ${text(args[0])}`, FACTOR];
  return [`${op}(${args.map(text).join(", ")})`, FACTOR];
}

// The value of a tree, where `env` has the values of symbols; and what it has under a part's own text is taken as it is. NaN
// where something is not known.
export function evaluate(tree, env) {
  if (typeof tree === "number") return tree;
  const given = env[typeof tree === "string" ? tree : text(tree)];
  if (given !== undefined) return given;
  if (!Array.isArray(tree)) return NaN;
  const [op, ...args] = tree;
  return OPERATIONS[op](...args.map((arg) => evaluate(arg, env)));
}
