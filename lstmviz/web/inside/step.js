// One step of one unit as arithmetic.

import { make } from "../dom.js";
import { sentence } from "../say.js";

export class StepSection {
  constructor(place) {
    this.said = place.appendChild(make("p", "said"));
  }

  show({ trace, live, at: { time, unit, layer } }) {
    const at = (role, t) => (t < 0 ? NaN : trace.values(layer, role)[t * live.size + unit]);
    const roles = live.roles.map(({ role }) => ({ role, value: at(role, time), previous: at(role, time - 1), begin: 0 }));
    const { begins, symbols, does, lets_out, resets } = live;
    this.said.textContent = sentence({ roles, time, begins, symbols, does, lets_out, resets });
  }
}
