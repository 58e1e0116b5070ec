// What there is to know of a tree: `parents` has the column of each node's parent, −1 at the root. A parent's column comes
// after those of its children.

import { valueOf } from "./wire.js";

// The children of every node, in their order.
export function families(parents) {
  const found = parents.map(() => []);
  parents.forEach((parent, t) => { if (parent >= 0) found[parent].push(t); });
  return found;
}

// How many operations stand one within the other at every node, 0 at a leaf.
export function heights(parents) {
  const found = parents.map(() => 0);
  parents.forEach((parent, t) => { if (parent >= 0) found[parent] = Math.max(found[parent], found[t] + 1); });
  return found;
}

// The share of what a node holds that its parent keeps, over all units: those that hold much count as much. NaN at the root.
export function shareOf(panels, t) {
  const keeps = panels.find(({ does }) => does === "keeps"), holds = panels.find(({ does }) => does === "holds");
  let kept = 0, held = 0;
  for (let unit = 0; unit < keeps.size; unit++) {
    const c = Math.abs(valueOf(holds, unit, t));
    kept += valueOf(keeps, unit, t) * c;
    held += c;
  }
  return kept / held;
}
