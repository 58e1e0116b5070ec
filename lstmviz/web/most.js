import { memoryOf } from "./deeds.js";
import { families } from "./tree.js";
import { stepBefore, valueOf } from "./wire.js";

// The units that do most at a token, the most first: [[what, [{unit, by, symbol, …}, …]], …]. A gate opens or shuts by
// how much it differs from the token before; what is held is kept, written and changes. A node of a tree has no token
// before: it keeps what it keeps of its children.
export function mostAt(panels, time, { begins, parents, ...cell }) {
  if (parents.length) return mostInTree(panels, families(parents)[time], time, cell);
  const { size } = panels[0], last = stepBefore(panels[0], time), { begin, end } = panels[0];
  const first = begins && !begin && (last < begin || last >= end); // who says begins with what was read
  const gates = panels.filter(({ gate }) => gate);
  const holder = panels.find(({ does }) => does === "holds");
  const turned = gates.flatMap((panel) =>
    Array.from({ length: size }, (_, unit) => valueOf(panel, unit, time) - valueOf(panel, unit, last)));
  const [kept, written, changed] = [0, 0, 0].map(() => new Float64Array(size)), now = {}, before = {};
  const symbols = panels.map((panel) => [panel, cell.symbols[panel.role], `${cell.symbols[panel.role]}'`]);
  for (let unit = 0; unit < size; unit++) {
    for (const [panel, symbol, earlier] of symbols) {
      now[symbol] = valueOf(panel, unit, time);
      now[earlier] = before[symbol] = valueOf(panel, unit, last);
    }
    const memory = memoryOf(cell, now, before), { held } = memory, was = first ? 0 : memory.was;
    kept[unit] = first ? 0 : memory.kept * was;
    written[unit] = held - kept[unit];
    changed[unit] = held - was;
  }
  const turns = (sign) => largest(turned, (by) => sign * by)
    .map((k) => chip(k % size, turned[k], gates[Math.floor(k / size)]));
  const moves = (values) => largest(values, Math.abs).map((unit) => chip(unit, values[unit], holder));
  const found = gates.length ? [["opens", turns(1)], ["shuts", turns(-1)]] : [];
  if (cell.does.keeps !== null) found.push(["keeps", moves(kept)], ["writes", moves(written)]);
  return [...found, ["changes", moves(changed)]];
}

function mostInTree(panels, children, time, cell) {
  const holder = panels.find(({ does }) => does === "holds"), units = [...Array(holder.size).keys()];
  const at = (unit, t) => memoryOf(cell, Object.fromEntries(panels.map((panel) => [cell.symbols[panel.role], valueOf(panel, unit, t)])), {});
  const kept = units.map((unit) => children.reduce((sum, child) => {
    const { held, kept } = at(unit, child);
    return sum + kept * held;
  }, 0));
  const written = units.map((unit) => at(unit, time).held - kept[unit]);
  const moves = (values) => largest(values, Math.abs).map((unit) => chip(unit, values[unit], holder));
  return [["keeps", moves(kept)], ["writes", moves(written)]];
}

const chip = (unit, by, { symbol, light, dark }) => ({ unit, by, symbol, light, dark });

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
