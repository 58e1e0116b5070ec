// One model in a page that stands alone: see alone.js.

import { Alone, stand } from "./alone.js";
import { MOST } from "./constants.js";
import { choice, menu, shadow, slider, switches } from "./controls.js";
import { button, make } from "./dom.js";
import { Here } from "./here.js";
import { GateMap } from "./map.js";
import readout from "./readout.js";

const ORDERS = ["similar", "index", "active"];

class Watching extends Alone {
  constructor(place, page, models) {
    super(place, page, models);
    const [map, numbers] = ["map", "readout"].map(shadow);
    place.append(make("div", "bar", "", this.bar()), ...this.source(), map.host, numbers.host);
    this.here = new Here(new GateMap(map));
    readout({ parentElement: numbers, setStateValue() {} });
  }

  bar() {
    const { live, chosen } = this, parts = live.side ? [] : [this.examples()], layers = 1 + Math.max(...live.tracks.map(({ layer }) => layer));
    const numbers = [...Array.from({ length: layers }, (_, k) => `${k + 1}`), "all"];
    this.said("layer", "1", numbers);
    this.said("units", "telling", ["telling", "all"]);
    this.said("order", ORDERS[0], ORDERS);
    chosen.roles = live.usual_roles;
    if (layers > 1) parts.push(choice("layer", numbers, chosen.layer, this.chooses("layer")));
    if (live.size > MOST) parts.push(choice(`${live.size} units`, ["telling", "all"], chosen.units, this.chooses("units")));
    const roles = live.roles.map(({ role, label, meaning }) => ({ value: role, label, meaning }));
    const order = choice("order of all units", ORDERS, chosen.order, this.chooses("order"));
    parts.push(menu("panels", [switches(roles, chosen.roles, this.chooses("roles")), order]));
    return this.opened.asked ? parts : [...parts, this.writing()];
  }

  writing() {
    const values = { temperature: 0.8, top_k: 20, count: 40 }, set = (name) => (value) => { values[name] = value; };
    const element = menu("continue", [
      make("p", "", "Let the model write on. What it writes joins the sentence and the map."),
      slider("temperature", "Low: only what is likely. High: surprising.", [0.1, 2, 0.1], values.temperature, set("temperature")),
      slider("top-k", "Draw among this many likeliest tokens.", [1, 50, 1], values.top_k, set("top_k")),
      slider("tokens", "How many it writes.", [1, 200, 1], values.count, set("count")),
      button("continue the sentence", "let the model write on", () => {
        element.open = false;
        this.here.write({ ...values, seed: Date.now() });
      }),
    ]);
    return element;
  }

  show() {
    const { live, chosen: { layer, units, order, roles }, selected } = this;
    const layers = live.tracks.flatMap((track, k) => (layer === "all" || track.layer === layer - 1 ? [k] : []));
    const rows = { layers, roles, order: units === "telling" && live.size > MOST ? "telling" : order };
    this.hear({}, { ...rows, selection: { ...selected, layer: layers[0] }, written: null, write: null }, this.read());
  }
}

stand(Watching);
