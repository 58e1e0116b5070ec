// The fields of one intervention (see interventions.js).

import { button, make } from "../dom.js";
import { endsOf, lookOf, nameOf, shownTime, typedUnits, unitsOf } from "../interventions.js";
import { clamp } from "../view.js";
import { number } from "../words.js";

const LAST = 999_999; // the last time that a link can say

export class Editor {
  constructor(change) { // hears what somebody changes, as fields of the intervention
    this.change = change;
    this.element = make("div", "editor");
    this.kind = null;
  }

  show(each, seen) {
    const { op } = (this.each = each), { live } = (this.seen = seen), kind = `${op} ${live.digest}`;
    if (kind !== this.kind) this.element.replaceChildren(...this.fields(op));
    this.kind = kind;
    this.fill();
  }

  fields(op) {
    if (op === "cut") return [this.time(`before ${this.seen.live.task.column}`, "at")];
    if (op === "token") return [this.time("token", "at"), this.text("becomes", "token")];
    const { live } = this.seen, roles = live.roles.filter(({ role }) => op === "hold" || role in live.cell.states);
    this.role = select("gate", roles.map(({ role, label, symbol }) => [role, `${label} ${symbol}`]), (role) => this.change({ role, ...this.within(role) }));
    const layers = live.tracks.map(({ label }, k) => [`${k}`, label || `layer ${k + 1}`]);
    this.layer = layers.length > 1 ? select("layer", layers, (layer) => this.change({ layer: Number(layer) })) : null;
    this.units = input("units", "text", (typed) => {
      const all = typed.trim() === "all", units = all ? null : unitsOf(typed);
      this.units.field.setAttribute("aria-invalid", !all && !units && Boolean(typed.trim()));
      if (all || units) this.change({ units });
    });
    this.units.field.title = "numbers and ranges, as 9, 11-13";
    const one = button("this", "the selected unit", () => this.change({ units: [this.seen.at.unit] }));
    const all = button("all", "all units of the layer", () => this.change({ units: null }));
    this.slider = Object.assign(make("input", ""), { type: "range" });
    this.slider.setAttribute("aria-label", op === "hold" ? "the value" : "the factor");
    this.slider.addEventListener("input", () => this.change({ value: Number(this.slider.value) }));
    this.value = input(op === "hold" ? "at" : "times", "number", (typed) => { if (typed.trim() && Number.isFinite(Number(typed))) this.change({ value: Number(typed) }); });
    this.value.field.step = "any";
    const preset = (text, label, value) => button(text, label, () => this.change({ value: value() }));
    this.mean = preset("mean", "its mean over what was read", () => this.meanNow());
    const presets = [preset("0", "the value 0", () => 0), preset("1", "the value 1", () => 1), ...(op === "hold" ? [this.mean] : [])];
    return [
      this.role.element, ...(this.layer ? [this.layer.element] : []), make("span", "field", "", [this.units.element, one, all]),
      this.time("from", "from"), this.time("to", "to"),
      make("span", "field value", "", [this.value.element, this.slider, ...presets]),
    ];
  }

  time(label, name) {
    const least = shownTime(0, this.seen.live), field = input(label, "number", (typed) => {
      const time = typed.trim() === "" ? null : Math.min(LAST, Math.round(Number(typed)) - least);
      if (time === null ? name === "to" : time >= 0) this.change(this.inOrder({ [name]: time }));
    });
    Object.assign(field.field, { min: least, step: 1, placeholder: name === "to" ? "end" : "" });
    field.field.name = name;
    const here = button("here", "the selected token", () => this.change(this.inOrder({ [name]: this.seen.at.time })));
    return make("span", "field", "", [field.element, ...(name === "to" ? [] : [here])]);
  }

  // It does not end before it begins.
  inOrder(change) {
    const { from, to } = { ...this.each, ...change };
    if (to === undefined || to === null || to >= from) return change;
    return "to" in change ? { ...change, from: to } : { ...change, to: from };
  }

  text(label, name) {
    const field = input(label, "text", (typed) => {
      const { reads } = this.seen.reading.opened, [piece] = reads.split(typed);
      if (piece !== undefined) this.change({ [name]: piece });
    });
    field.field.name = name;
    return field.element;
  }

  within(role) { // another gate may have other ends
    if (this.each.op === "scale") return {};
    const [least, most] = endsOf(this.seen.live, Math.min(this.each.layer, this.seen.live.tracks.length - 1), role);
    return { value: clamp(this.each.value, least, most) };
  }

  meanNow() {
    const { each: { role, layer, units }, seen: { trace, live } } = this;
    if (!lookOf(live, role) || layer >= live.tracks.length) return 0;
    const values = trace.values(layer, role), { size } = live, own = units?.filter((unit) => unit < size) ?? [...Array(size).keys()];
    let sum = 0;
    for (let at = 0; at < values.length; at += size) for (const unit of own) sum += values[at + unit];
    return Number((sum / ((values.length / size) * own.length)).toPrecision(4)) || 0;
  }

  // What the fields say; not the one in which somebody is typing.
  fill() {
    const { each, seen: { live, reading } } = this, { op, role, layer, units, value } = each;
    for (const name of ["at", "from", "to", "token"]) {
      const field = this.element.querySelector(`[name=${name}]`);
      if (!field) continue;
      put(field, name === "token" ? shownToken(reading, each.token) : each[name] === null ? "" : `${shownTime(each[name], live)}`);
      if (name !== "token") field.max = shownTime(Math.max(0, reading.count - 1), live);
    }
    if (op !== "hold" && op !== "scale") return;
    const look = lookOf(live, role), has = look && layer < live.tracks.length;
    choose(this.role.field, role, nameOf(look, role));
    if (this.layer) choose(this.layer.field, `${layer}`, `layer ${layer + 1}`);
    put(this.units.field, units === null ? "all" : typedUnits(units));
    if (!focused(this.units.field)) this.units.field.setAttribute("aria-invalid", false);
    const [least, most] = op === "scale" ? [0, 2] : has ? endsOf(live, layer, role) : [Math.min(0, value), Math.max(1, value)];
    Object.assign(this.slider, { min: least, max: most, step: (most - least) / 200 });
    this.mean.title = `its mean over what was read: ${has ? number(this.meanNow(), 3) : "–"}`;
    put(this.slider, `${value}`);
    put(this.value.field, `${Number(value.toFixed(3))}`);
  }
}

const focused = (field) => field.getRootNode().activeElement === field;

function put(field, value) {
  if (field.type === "range" ? Number(field.value) !== Number(value) : field.value !== value && !(focused(field) && field.tagName === "INPUT")) field.value = value;
}

// A select at a value; where the model has no such option it is there all the same, but not to be chosen.
function choose(field, value, text) {
  field.querySelector("option:disabled")?.remove();
  if (![...field.options].some((option) => option.value === value)) field.append(Object.assign(make("option", "", text), { value, disabled: true }));
  put(field, value);
}

const shownToken = ({ opened: { reads } }, token) => (reads.ids.has(token) ? reads.display(reads.ids.get(token)) : token);

function labelled(label, field) { return { field, element: make("label", "", "", [make("span", "", label), field]) }; }

function input(label, type, act) {
  const field = Object.assign(make("input", ""), { type });
  field.autocomplete = "off";
  field.addEventListener("input", () => act(field.value));
  return labelled(label, field);
}

function select(label, options, act) {
  const field = make("select", "", "", options.map(([value, text]) => Object.assign(make("option", "", text), { value })));
  field.addEventListener("change", () => act(field.value));
  return labelled(label, field);
}
