// One step of one unit as arithmetic: each equation of its cell in symbols, and under that in this unit's numbers. A product with a
// matrix can be opened: what adds most to it. Beside them, or below, the drawing of the cell.

import { make, renew } from "../dom.js";
import { text } from "../equations.js";
import { channels } from "../paint/pen.js";
import { sentence } from "../say.js";
import { number } from "../words.js";
import { bracketed, every, inNumbers, largest, linesOf, valuesOf, wroteIn } from "./arithmetic.js";
import { Drawing } from "./drawing.js";
import { marked, rolesBySymbol, typeset } from "./formula.js";

export class StepSection {
  constructor(place, host) {
    this.opened = new Set(["f U_f h'"]); // "symbol part" of the terms that are open
    this.said = make("p", "said");
    this.lines = make("div", "lines");
    this.hint = make("p", "quiet", "What is underlined opens: which numbers add most to it.");
    const drawn = make("div", "drawn");
    this.drawing = new Drawing(drawn, { ...host, point: (symbol) => this.point(symbol) });
    place.append(this.said, make("div", "beside", "", [make("div", "", "", [this.lines, this.hint]), drawn]));
    place.addEventListener("click", ({ target }) => {
      const { term, unit, layer } = target.closest("button")?.dataset ?? {};
      if (term) {
        if (!this.opened.delete(term)) this.opened.add(term);
        this.show(this.seen);
      }
      if (unit) host.select({ unit: Number(unit), layer: Number(layer) });
    });
  }

  show(seen) {
    const { reading, trace, live, at: { time, unit, layer }, theme } = (this.seen = seen);
    this.roles = rolesBySymbol(live);
    this.colourOf = (symbol) => this.roles.get(symbol)?.[theme.mode];
    const values = valuesOf(reading, layer, time), { lines, vectors } = linesOf(live, values, unit);
    this.said.textContent = this.sentence(trace, live, time, unit, layer, wroteIn(lines, live.does.holds));
    renew(this.lines, make("div", "", "", [
      ...vectors.map((symbol) => this.vector(symbol, live)),
      ...lines.map(([symbol, term]) => this.line(symbol, term, layer, live)),
    ]));
    const shown = new Map(lines.flatMap(([, term]) => [...every(term)].map((part) => [part.text, part.shown])));
    this.drawing.show(seen, values, shown);
  }

  // Somebody points at a part of the drawing: the equation that it is of.
  point(symbol) {
    this.pointed = symbol;
    for (const line of this.lines.children) line.classList.toggle("pointed", line.dataset.symbol === symbol);
  }

  sentence(trace, live, time, unit, layer, wrote) {
    const value = (role, t) => (t < 0 ? NaN : trace.values(layer, role)[t * live.size + unit]);
    const roles = live.roles.map(({ role }) => ({ role, value: value(role, time), previous: value(role, time - 1), begin: 0 }));
    return sentence({ ...live, roles, time, wrote });
  }

  // An equation that gives no one unit a number, as the gated input of a mogrifier.
  vector(symbol, { cell: { equations } }) {
    return this.lineOf(symbol, [
      make("span", "left", "", this.set(symbol)), make("span", "", "="), make("span", "right", "", this.set(text(equations[symbol]))),
      make("span", ""), make("span", ""), make("span", "quiet", "all its numbers at once: of no one unit"),
    ]);
  }

  line(symbol, term, layer, live) {
    const mixed = [...every(term)].filter((part) => part.mixes), role = this.roles.get(symbol);
    const button = (k, children) => {
      const name = `${symbol} ${mixed[k].text}`, element = make("button", "term", "", children);
      Object.assign(element, { type: "button", title: `what adds most to ${mixed[k].text}` });
      element.dataset.term = name;
      element.setAttribute("aria-expanded", this.opened.has(name));
      return element;
    };
    const write = (part) => {
      const k = mixed.indexOf(part), [, minus, size] = /^(−?)(.*)$/.exec(part.shown);
      return k < 0 ? part.shown : minus + marked(k, size);
    };
    const stages = inNumbers(term, write), value = stages.length > 1 || term.parts.length ? stages.pop() : null;
    const numbers = stages.flatMap((stage, k) => [...(k ? [" = "] : []), ...this.set(stage, button)]);
    const result = make("b", "", value === null ? "" : term.shown);
    if (role) result.style.color = this.colourOf(symbol);
    const open = mixed.map((part, k) => (this.opened.has(`${symbol} ${part.text}`) ? this.contributions(part, layer, live) : null));
    return this.lineOf(symbol, [
      make("span", "left", "", this.set(symbol)), make("span", "", "="), make("span", "right", "", this.set(textOf(term, mixed), button)),
      make("span", "left name", role?.label ?? ""), make("span", "", "="),
      make("span", "right numbers", "", [...numbers, ...(value === null ? [] : [" = ", result])]),
      ...open.filter(Boolean),
    ]);
  }

  lineOf(symbol, parts) {
    const element = make("div", `line${symbol === this.pointed ? " pointed" : ""}`, "", parts);
    element.dataset.symbol = symbol;
    return element;
  }

  set(written, open = () => []) { return typeset(written, this.colourOf, open); }

  // What adds most to a product with a matrix, and all the rest.
  contributions(term, layer, live) {
    const { told, others, said, rest } = largest(term), most = Math.max(...told.map(({ product }) => Math.abs(product)), Math.abs(rest), 1e-9);
    const rows = told.map(({ vector, index, weight, value, product }) => {
      const name = this.nameOf(vector, index, layer, live);
      return [name, make("span", "", `${number(weight)} · ${bracketed(value)}`), number(product), product];
    });
    if (others) rows.push([make("span", "", `the other ${others}`), make("span", ""), said, rest]);
    const { signed } = this.seen.theme;
    return make("div", "adds", "", [
      make("span", "what", "", [...this.set(term.text), ` = ${term.shown}`]),
      ...rows.flatMap(([name, made, sum, size]) => {
        const bar = make("span", "fill"), share = (50 * Math.abs(size)) / most;
        Object.assign(bar.style, { width: `${share}%`, left: `${size < 0 ? 50 - share : 50}%`, background: `rgb(${channels(signed[size < 0 ? 40 : 215])})` });
        return [name, made, make("span", "value", `= ${sum}`), make("span", "track", "", [bar, make("span", "middle")])];
      }),
    ]);
  }

  // A number of a vector; where it is a unit's, a button that selects it.
  nameOf(vector, index, layer, live) {
    const below = vector === "x" && layer > 0, own = !below && !/^x/.test(vector) && !vector.startsWith("("), { size, output } = live;
    const children = [...this.set(vector), `[${index}]`];
    if (!(below || own) || (output !== size && /h/.test(vector)) || (below && output !== size)) return make("span", "", "", children);
    const element = Object.assign(make("button", "unit", "", children), { type: "button", title: `select unit ${index}${below ? " of the layer below" : ""}` });
    Object.assign(element.dataset, { unit: index, layer: below ? layer - 1 : layer });
    return element;
  }
}

// A line's right side as it is written, in which what mixes units is marked.
const textOf = (term, mixed) => text(treeOf(term, mixed));
function treeOf(term, mixed) {
  const { op, parts, value, text: own } = term, k = mixed.indexOf(term);
  if (k >= 0) return marked(k, own);
  return parts.length ? [op, ...parts.map((part) => treeOf(part, mixed))] : op || !/^\d/.test(own) ? own : value;
}
