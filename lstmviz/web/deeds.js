// What a unit keeps and holds follows from what its cell says: `cell` is {symbols, does} of the header, with an expression of
// the symbols for each thing that it does.

import { evaluate, text } from "./equations.js";

// The values of a unit under its cell's symbols, from role -> value: now and, with a prime, at the step before.
export function bySymbol(symbols, now, before) {
  const env = {};
  for (const [role, symbol] of Object.entries(symbols)) {
    if (role in now) env[symbol] = now[role];
    if (role in before) env[`${symbol}'`] = before[role];
  }
  return env;
}

// What a unit holds now, and held at the step before; the share of it that it keeps. NaN where there is none.
export function memoryOf({ symbols, does }, now, before) {
  const env = bySymbol(symbols, now, before);
  return {
    held: evaluate(does.holds, env),
    was: evaluate(does.holds, bySymbol(symbols, before, {})),
    kept: does.keeps === null ? NaN : evaluate(does.keeps, env),
  };
}

// Whether what a cell does is a gate of its own; else it may be worked out of others, as 1 − z.
export const hasGate = ({ symbols, does }, what) => does[what] !== null && Object.values(symbols).includes(text(does[what]));
