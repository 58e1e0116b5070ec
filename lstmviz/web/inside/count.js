// How many numbers a model learns, block by block: what follows from its weights as they came, and from its cell's equations.

import { text } from "../equations.js";
import { list } from "../words.js";

// [{name, blocks, formula}]: of the embedding, each layer and the decoder. A block is {symbol, shape, times, count, says}: it is
// stored so many times, 0 where it is the same as another. `formula` says in h, x and p how many numbers a layer has, and in numbers.
export function counted(live) {
  const { weights, stored, count, cell, size, output, input, decoder, tracks } = live, [width] = input.weight.shape.slice(-1);
  const layers = weights.map((refs, k) => ({
    name: tracks.length > 1 ? `layer ${k + 1}` : "the cell",
    blocks: Object.entries(refs).map(([symbol, { shape }]) => block(symbol, shape, meaning(symbol, cell.equations), stored[symbol] ?? 1)),
    formula: [count, inNumbers(count, { h: size, x: k ? output : live.side ? input.weight.shape[0] : width, p: output })],
  }));
  return [{ name: "embedding", blocks: embedded(live) }, ...layers, { name: "decoder", blocks: decoded(decoder, input, live) }];
}

export const numbersIn = (groups) => groups.reduce((sum, { blocks }) => blocks.reduce((all, { count }) => all + count, sum), 0);

const block = (symbol, shape, says, times = 1) => ({ symbol, shape, times, count: times * shape.reduce((product, side) => product * side, 1), says });

function embedded({ input: { weight, bias }, side }) {
  if (side) return [block("W", weight.shape, "weights of a row's pixels"), ...(bias ? [block("b", bias.shape, "bias")] : [])];
  return [block("E", weight.shape, "a row of numbers for each token: x is one of them")];
}

function decoded({ head, small, tail, weight, bias }, input, { output }) {
  if (head) return [
    block("W_head", head.weight.shape, "weights of h for the commonest tokens, and for “a rarer one”"), block("b_head", head.bias.shape, "their bias"),
    block("W_small", small.shape, `weights of h for the ${small.shape[0]} numbers that score a rarer token`), block("W_tail", tail.weight.shape, "weights of these for each rarer token"),
    block("b_tail", tail.bias.shape, "their bias"),
  ];
  const tied = weight.at === input.weight.at; // one matrix for both
  return [
    block("W", weight.shape, tied ? "the rows of the embedding once more: they are the same numbers" : `weights of the ${output} numbers of h for each token or label`, tied ? 0 : 1),
    block("b", bias.shape, "how likely each is before anything is read"),
  ];
}

// What a symbol is in the equations: weights of a vector, a bias, a factor.
function meaning(symbol, equations) {
  const uses = new Map(); // what it is -> of which symbols
  const look = (tree, of) => {
    if (!Array.isArray(tree)) return;
    const [op, ...args] = tree;
    if (args.includes(symbol)) {
      const other = args.find((arg) => arg !== symbol), what = op === "@" ? `weights of ${text(other)} for` :
        op === "*" ? (typeof other === "string" ? `how much of ${other}, unit by unit, comes to` : "a gain, number by number, in") : "bias of";
      uses.set(what, [...new Set([...(uses.get(what) ?? []), of])]);
    }
    for (const arg of args) look(arg, of);
  };
  for (const [of, tree] of Object.entries(equations)) look(tree, of);
  return [...uses].map(([what, symbols]) => `${what} ${list(symbols)}`).join("; ");
}

// A formula as "4h(h + x) + 8h" with numbers for its letters: 4·16·(16 + 8) + 8·16.
export function inNumbers(formula, sizes) {
  const signs = formula.match(/\d+|[hxp]|[²()+−]/g) ?? [], starts = /[\dhxp(]/, ends = /[\dhxp)²]/;
  return signs.map((sign, k) => {
    const said = sizes[sign] ?? (sign === "+" || sign === "−" ? ` ${sign} ` : sign);
    return k && starts.test(sign) && ends.test(signs[k - 1]) ? `·${said}` : said;
  }).join("");
}
