// Several models side by side in a page that stands alone: see alone.js.

import { Alone, stand } from "./alone.js";
import { Comparison } from "./compare.js";
import { choice, menu, shadow, switches } from "./controls.js";
import { make } from "./dom.js";
import { Together } from "./together.js";

const only = (entries, names) => Object.fromEntries(Object.entries(entries).filter((entry) => names.some((name) => entry.includes(name))));

class Comparing extends Alone {
  constructor(place, page, models) {
    super(place, page, models);
    place.classList.add("wide");
    const map = shadow("comparison");
    place.append(make("div", "bar", "", this.bar()), ...this.source(), map.host);
    this.here = new Together(new Comparison(map));
  }

  bar() {
    const { live, chosen, page: { together } } = this, [view] = Object.values(together.views), parts = live.side ? [] : [this.examples()];
    const layers = Array.from({ length: together.layers }, (_, k) => `${k + 1}`), named = (label) => ({ value: label, label, meaning: "" });
    this.said("layer", "1", layers);
    this.said("show", "values", ["values", "difference"]);
    this.said("units", "telling", ["telling", "all"]);
    const reference = view.models.findIndex(({ id }) => id === this.address.get("reference"));
    Object.assign(chosen, { slots: together.slots, charts: together.charts, reference: reference < 0 ? together.reference : reference });
    if (layers.length > 1) parts.push(choice("layer", layers, chosen.layer, this.chooses("layer")));
    parts.push(choice("show", ["values", "difference"], chosen.show, this.chooses("show")));
    if (together.many) parts.push(choice("units", ["telling", "all"], chosen.units, this.chooses("units")));
    const slots = view.slots.map(({ key, label, hint }) => ({ value: key, label, meaning: hint }));
    parts.push(menu("panels", [switches(slots, chosen.slots, this.chooses("slots"))]));
    parts.push(menu("charts", [switches(view.charts.map(({ name }) => named(name)), chosen.charts, this.chooses("charts"))]));
    return parts;
  }

  show() {
    const { page: { together }, chosen: { layer, show, units, slots, charts, reference }, selected } = this;
    const view = together.views[`${layer - 1} ${reference} ${show === "difference"}`];
    const models = view.models.map((model) => ({ ...model, rows: only(model.rows, slots), absent: only(model.absent, slots) }));
    const parts = { slots: view.slots.filter(({ key }) => slots.includes(key)), charts: view.charts.filter(({ name }) => charts.includes(name)) };
    const order = units === "all" ? "similar" : view.order, model = view.models.findIndex(({ id }) => id === this.address.get("of"));
    this.hear({ ...view, models, ...parts, order }, { selection: { ...selected, model: Math.max(0, model) } }, this.read(), (what, id) => {
      if (what !== "pinned") return;
      this.address.tell({ reference: id });
      this.chosen.reference = view.models.findIndex((each) => each.id === id);
      this.show();
    });
  }
}

stand(Comparing);
