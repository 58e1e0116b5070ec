// What the server sends: see lstmviz/wire.py.

// Header length, header, blocks. `held` has the blocks of earlier messages and gets the new ones.
// Null where a block was left out that is not held (any more).
export function decode(bytes, held) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 4 + view.getUint32(0, true);
  const data = JSON.parse(new TextDecoder().decode(bytes.subarray(4, offset)));
  for (const panel of data.panels) {
    panel.units = data.units[data.layers.indexOf(panel.layer)]; // in the order of their rows; fewer once a map has chosen
    panel.size = panel.units.length;
  }
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
