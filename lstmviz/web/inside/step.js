// One step of one unit as arithmetic.

import { make } from "../dom.js";
import { sentence } from "../say.js";
import { Drawing } from "./drawing.js";

export class StepSection {
  constructor(place, host) {
    this.said = place.appendChild(make("p", "said"));
    this.drawing = new Drawing(place, host);
  }

  show(seen) {
    const { trace, live, at: { time, unit, layer } } = seen;
    const at = (role, t) => (t < 0 ? NaN : trace.values(layer, role)[t * live.size + unit]);
    const roles = live.roles.map(({ role }) => ({ role, value: at(role, time), previous: at(role, time - 1), begin: 0 }));
    const { begins, symbols, does, lets_out, resets } = live;
    this.said.textContent = sentence({ roles, time, begins, symbols, does, lets_out, resets });
    this.drawing.show(seen);
  }
}
