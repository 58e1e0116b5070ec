// What a unit keeps and holds follows from what its cell says: `cell` is {symbols, does} of the header, with an expression of
// the symbols for each thing that it does.

import { evaluate, text } from "./equations.js";

// The values of a unit by its cell's symbols; `before` are those of the step before, which have a prime.
export function bySymbol(symbols, now, before = {}) {
  const env = {};
  for (const [role, symbol] of Object.entries(symbols)) {
    if (role in now) env[symbol] = now[role];
    if (role in before) env[`${symbol}'`] = before[role];
  }
  return env;
}

// What a unit holds, what it held at the step before, and the share of that which it keeps, NaN where nothing does; from its
// values now and at the step before, both by symbol.
export const memoryOf = ({ does }, now, before) => ({
  held: evaluate(does.holds, now),
  was: evaluate(does.holds, before),
  kept: does.keeps === null ? NaN : evaluate(does.keeps, now),
});

// Whether what a cell does is a gate of its own; else it may be worked out of others, as 1 − z.
export const hasGate = ({ symbols, does }, what) => does[what] !== null && Object.values(symbols).includes(text(does[what]));
