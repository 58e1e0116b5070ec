// What units do at a token.

import { evaluate, text } from "./equations.js";
import { valueOf } from "./wire.js";

// What a unit keeps and holds follows from what its cell says: `cell` is {symbols, does} of the header, with an expression of
// the symbols for each thing that it does.

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

// The units that do most at a token, the most first: [[what, [{unit, by, symbol, …}, …]], …]. A gate opens or shuts by
// how much it differs from the token before; what is held is kept, written and changes.
export function mostAt(panels, time, { begins, ...cell }) {
  const { size } = panels[0], first = time === 0 && begins;
  const gates = panels.filter(({ gate }) => gate);
  const holder = panels.find(({ does }) => does === "holds");
  const turned = gates.flatMap((panel) =>
    Array.from({ length: size }, (_, unit) => valueOf(panel, unit, time) - valueOf(panel, unit, time - 1)));
  const [kept, written, changed] = [0, 0, 0].map(() => new Float64Array(size)), now = {}, before = {};
  for (let unit = 0; unit < size; unit++) {
    for (const panel of panels) {
      now[panel.role] = valueOf(panel, unit, time);
      before[panel.role] = valueOf(panel, unit, time - 1);
    }
    const memory = memoryOf(cell, now, before), { held } = memory, was = first ? 0 : memory.was;
    kept[unit] = first ? 0 : memory.kept * was;
    written[unit] = held - kept[unit];
    changed[unit] = held - was;
  }
  const chip = (unit, by, { symbol, light, dark }) => ({ unit, by, symbol, light, dark });
  const turns = (sign) => largest(turned, (by) => sign * by)
    .map((k) => chip(k % size, turned[k], gates[Math.floor(k / size)]));
  const moves = (values) => largest(values, Math.abs).map((unit) => chip(unit, values[unit], holder));
  const found = gates.length ? [["opens", turns(1)], ["shuts", turns(-1)]] : [];
  if (cell.does.keeps !== null) found.push(["keeps", moves(kept)], ["writes", moves(written)]);
  return [...found, ["changes", moves(changed)]];
}

// Places of the few largest, the largest first; what is too small to be seen is not among them.
function largest(values, size, count = 4) {
  const best = [];
  values.forEach((value, k) => {
    if (!(size(value) >= 0.005) || (best.length === count && size(value) <= size(values[best.at(-1)]))) return;
    const place = best.findIndex((other) => size(values[other]) < size(value));
    best.splice(place < 0 ? best.length : place, 0, k);
    best.length = Math.min(best.length, count);
  });
  return best;
}
