// What the server sends: see lstmviz/wire.py.

import { LEVELS, NAN } from "./constants.js";
import { missing } from "./words.js";

// A header, after its length, and where it ends: what follows it begins there.
export function headed(bytes, offset = 0) {
  const begin = offset + 4, end = begin + new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset, true);
  return [JSON.parse(new TextDecoder().decode(bytes.subarray(begin, end))), end];
}

// A message of a model: its header with a `size` and `codes` (time, unit) for each panel. `held` has the blocks of earlier
// messages and gets the new ones. Null where a block was left out that is not held (any more).
export function decode(bytes, held) {
  let [data, offset] = headed(bytes);
  for (const panel of data.panels) panel.size = data.units[data.layers.indexOf(panel.layer)].length;
  const width = data.panels.reduce((sum, panel) => sum + panel.size, 0), count = data.blocks.reduce((sum, [, tokens]) => sum + tokens, 0);
  for (const [name, tokens, sent] of data.blocks)
    if (sent) held.set(name, new Uint16Array(bytes.slice(offset, (offset += 2 * tokens * width)).buffer)); // a copy
  if (!data.blocks.every(([name]) => held.has(name))) return null;
  let before = 0; // units of the panels before this one
  for (const panel of data.panels) {
    const { size } = panel;
    let time = 0;
    panel.codes = new Uint16Array(count * size); // (time, unit)
    for (const [name, tokens] of data.blocks) {
      panel.codes.set(held.get(name).subarray(tokens * before, tokens * (before + size)), time * size);
      time += tokens;
    }
    before += size;
  }
  return data;
}

// A value; NaN where there is none, as before the first token, or after the last.
export function valueOf({ codes, size, low, high }, unit, time) {
  const code = time < 0 ? NAN : codes[time * size + unit] ?? NAN;
  return code === NAN ? NaN : low + (code / LEVELS) * (high - low);
}

// The step that was read before this one.
export const stepBefore = ({ reverse }, time) => (reverse ? time + 1 : time - 1);

export function meanOf(panel, units, time) { // of those that have a value
  const values = units.map((unit) => valueOf(panel, unit, time)).filter((value) => !missing(value));
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
