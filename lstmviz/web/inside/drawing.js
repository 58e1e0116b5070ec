// The drawing that everybody knows of a cell, live: a belt on top, gates as valves, boxes, lines as thick and coloured as what
// flows in them for one unit at one token. What there is to draw follows from the equations: see anatomy.js and layout.js.

import { make } from "../dom.js";
import { evaluate, text } from "../equations.js";
import { channels } from "../paint/pen.js";
import { clamp } from "../view.js";
import { inline, number, whole } from "../words.js";
import { anatomy } from "./anatomy.js";
import { valuesOf } from "./arithmetic.js";
import { withIndices } from "./formula.js";
import { BOX, CURVE, layoutOf, VALVE, widthOf } from "./layout.js";

const NAMESPACE = "http://www.w3.org/2000/svg";
const BEHIND = ["rail", "stem", "peek", "wire", "pipe"]; // these first, in this order
const ROUND = 12; // the radius of a corner
const SEEN = 6; // a box shows its function from −6 to 6
const [THIN, THICK] = [1.5, 9]; // what flows in a pipe

export function svg(name, attributes = {}, children = []) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const primed = (text) => text.replaceAll("'", "′");

// A symbol as it is set: what stands behind _ is an index.
function signs(symbol) {
  const [sign, index] = primed(symbol).split("_");
  if (index === undefined) return [symbol];
  return [sign, svg("tspan", { dy: 4, class: "index" }, [index]), svg("tspan", { dy: -4 }, ["\u200b"])];
}

// ---- parts that the sandbox draws with, too --------------------------------------------------------------------------

// Through these points, with round corners.
export function path(points) {
  const parts = points.map(([x, y], k) => {
    if (!k) return `M${x},${y}`;
    if (k === points.length - 1) return `L${x},${y}`;
    const toward = ([a, b]) => {
      const far = Math.hypot(a - x, b - y), by = Math.min(ROUND, far / 2) / (far || 1);
      return `${x + (a - x) * by},${y + (b - y) * by}`;
    };
    return `L${toward(points[k - 1])} Q${x},${y} ${toward(points[k + 1])}`;
  });
  return parts.join(" ");
}

// What a value is as a colour, blue below 0 and red above, at most `most`.
export const colourOf = (theme, value, most) => `rgb(${channels(theme.signed[clamp(Math.round(127.5 * (1 + (value || 0) / most)), 0, 255)])})`;
export const thickness = (value, most) => (Number.isNaN(value) ? 0 : THIN + (THICK - THIN) * Math.min(1, Math.abs(value) / most));

// A pipe, so many times as wide as others, and a function that lets a value flow in it.
export function pipe(points, wide = 1) {
  const along = path(points), flow = svg("path", { d: along, class: "flow" });
  const element = svg("g", {}, [svg("path", { d: along, class: "wall" }), svg("path", { d: along, class: "bore" }), flow]);
  return [element, (theme, value, most) => {
    flow.style.stroke = colourOf(theme, value, most);
    flow.style.strokeWidth = wide * thickness(value, most);
  }];
}

// The sign ⊙ as a butterfly valve: along the pipe it is open, across it is shut. `along` is the direction of the pipe, in degrees.
export function valve(x, y, along = 0, radius = VALVE) {
  const plate = svg("line", { x1: x - radius + 5, x2: x + radius - 5, y1: y, y2: y, class: "plate" });
  const element = svg("g", { class: "valve" }, [svg("circle", { cx: x, cy: y, r: radius, class: "house" }), plate, svg("circle", { cx: x, cy: y, r: 3.2, class: "pivot" })]);
  return [element, (open) => plate.setAttribute("transform", `rotate(${along + 90 * (1 - clamp(open || 0, 0, 1))} ${x} ${y})`)];
}

export function sum(x, y, radius = 13) {
  const arm = radius - 6;
  return svg("g", { class: "sum" }, [svg("circle", { cx: x, cy: y, r: radius, class: "house" }), svg("path", { d: `M${x - arm},${y} h${2 * arm} M${x},${y - arm} v${2 * arm}` })]);
}

// A box with the curve of its function `of` u, and a function that puts the dot where a value is.
export function box(x, y, width, height, label, of) {
  const frame = svg("rect", { x: x - width / 2, y: y - height / 2, width, height, rx: 8, class: "frame" });
  if (!of) return [svg("g", { class: "box" }, [frame, svg("text", { x, y: y + 5, "text-anchor": "middle", class: "name" }, [label])]), () => {}];
  const at = (u) => evaluate(of, { u }), samples = Array.from({ length: 33 }, (_, k) => SEEN * (k / 16 - 1)), reached = samples.map(at);
  const [low, high] = [Math.min(...reached), Math.max(...reached)], [middle, inner] = [x + width / 2 - 9 - CURVE / 2, height - 18];
  const place = (u) => [middle + (CURVE * clamp(u, -SEEN, SEEN)) / (2 * SEEN), y + inner * (0.5 - clamp((at(u) - low) / (high - low), 0, 1))];
  const dot = svg("circle", { r: 3.6, class: "at" }), name = svg("text", { x: (x - width / 2 + middle - CURVE / 2) / 2 + 1, y: y + 5, "text-anchor": "middle", class: "name" }, [label]);
  const element = svg("g", { class: "box" }, [frame, svg("polyline", { points: samples.map(place).join(" "), class: "curve" }), name, dot]);
  return [element, (u) => {
    const [cx, cy] = Number.isNaN(u) ? [NaN, NaN] : place(u);
    dot.style.display = Number.isNaN(u) ? "none" : "";
    if (!Number.isNaN(u)) for (const [key, value] of Object.entries({ cx, cy })) dot.setAttribute(key, value);
  }];
}

// ---- the drawing -----------------------------------------------------------------------------------------------------

export class Drawing {
  // `host.select({ time })` selects a step; `host.point(symbol)` hears at which symbol of the equations somebody points, null at none.
  constructor(place, host = {}) {
    this.host = host;
    this.root = place.appendChild(make("div", "drawing"));
    this.why = make("p", "quiet");
    this.figure = make("div", "figure");
    this.caption = make("p", "caption");
    this.caption.setAttribute("aria-live", "polite");
    this.root.append(this.why, this.figure, this.caption);
    this.cell = this.pointed = null;
    this.figure.addEventListener("pointerover", ({ target }) => this.point(this.partOf(target)));
    this.figure.addEventListener("pointerleave", () => this.point(null));
    this.figure.addEventListener("focusout", () => this.point(null));
    this.figure.addEventListener("keydown", (event) => this.walk(event));
  }

  // `values` of this step by symbol, and of every part of the equations by its text; `shown`: how what is worked out is written, so
  // that an equation beside the drawing and the drawing say the same.
  show(seen, values = valuesOf(seen.reading, seen.at.layer, seen.at.time), shown = new Map()) {
    Object.assign(this, { seen, values, shown });
    const { live, theme } = seen;
    if (this.cell !== live.cell || this.mode !== theme.mode) this.build();
    this.figure.hidden = this.caption.hidden = !this.found;
    if (!this.found) return;
    for (const renew of this.renews) renew();
    this.svg.setAttribute("aria-label", this.said());
    this.say();
  }

  // The value of an expression of the equations, for the selected unit; NaN where it has none of its own.
  value(tree) {
    const values = evaluate(tree, this.values), { unit } = this.seen.at;
    return typeof values === "number" ? values : values.length === 1 ? values[0] : values[unit] ?? NaN;
  }

  // As it is written.
  told(tree) { return this.shown.get(text(tree)) ?? number(this.value(tree)); }

  // How far a valve is open.
  open({ symbol, gate, flipped, fixed }) {
    if (fixed !== null) return fixed;
    return flipped ? 1 - this.value(gate) : this.value(symbol in this.seen.live.cell.equations ? symbol : gate);
  }

  // The ends of the colours of what a symbol says: those of the map, but that a belt is full from where σ and tanh are flat.
  most(symbol) {
    const { live, at: { layer } } = this.seen, role = this.roleOf(symbol);
    return role ? Math.min(SEEN, Math.max(...live.scales[layer][role.role].map(Math.abs))) : 1;
  }

  roleOf(symbol) {
    const { live } = this.seen, name = Object.keys(live.symbols).find((role) => live.symbols[role] === symbol);
    return live.roles.find(({ role }) => role === name);
  }

  // The colour of what sets a valve: that of its role, or of the gate that it is what is missing of.
  colour({ symbol, gate }) {
    const role = this.roleOf(symbol) ?? this.roleOf(gate), { theme } = this.seen;
    return role ? role[theme.mode] : theme.ink;
  }

  // ---- once a cell and a theme ---------------------------------------------------------------------------------------

  build() {
    const { live, theme } = this.seen, found = anatomy(live.cell, live.does);
    Object.assign(this, { cell: live.cell, mode: theme.mode, found: found.why ? null : found, renews: [], pointed: null });
    this.why.textContent = found.why ? `There is no drawing of this cell. ${found.why}` : "";
    this.why.hidden = !found.why;
    this.figure.replaceChildren();
    if (found.why) return;
    const { width, height, body: [left, top, right, bottom], parts, labels } = layoutOf(found), rank = ({ kind }) => (BEHIND.indexOf(kind) + 1 || BEHIND.length + 1);
    this.parts = parts.map((part) => ({ ...part, element: this.drawn(part) })); // in the order in which the keys go from one to the next
    const painted = [...this.parts].sort((a, b) => rank(a) - rank(b)).map(({ element }) => element);
    this.svg = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: 0 }, [
      svg("rect", { x: left, y: top, width: right - left, height: bottom - top, rx: 18, class: "body" }), ...painted, ...labels.map((label) => this.written(label))]);
    Object.assign(this.svg.style, { minWidth: `${0.78 * width}px`, maxWidth: `${1.12 * width}px` }); // that it can be read
    this.figure.append(this.svg);
    this.order = this.parts.map((_, k) => k).filter((k) => this.parts[k].kind !== "dot");
    const { keep, write, look, show } = found;
    const passed = [[keep, "what is kept"], [write, "what is written"], [look?.valve, "what the candidate sees of the past"], [show?.valve, "what is shown"]];
    this.passed = new Map(passed.filter(([set]) => set).map(([set, what]) => [text(set.passed), what]));
  }

  renew(act) { this.renews.push(act); }

  drawn(part) {
    const element = svg("g", { class: `piece ${part.kind}` }, this[part.kind](part));
    if (part.points) element.append(svg("path", { d: path(part.points), class: "near" })); // to be pointed at
    return element;
  }

  rail({ points, end }) {
    const d = path(points);
    return [svg("path", { d, class: "outer" }), svg("path", { d, class: "inner" }), ...(end ? [arrow(points.at(-1))] : [])];
  }

  stem({ points, dots, tree, symbol }) {
    const flow = svg("path", { d: path(points), class: "flow" }), [[x]] = points;
    if (tree !== null) this.renew(() => {
      const value = this.value(tree);
      flow.style.stroke = colourOf(this.seen.theme, value, SEEN);
      flow.style.strokeWidth = 0.5 * thickness(value, SEEN);
    });
    return [svg("path", { d: path(points), class: "wall" }), flow, ...dots.map((y) => svg("circle", { cx: x, cy: y, r: 4, class: "dot" }))];
  }

  peek({ points }) {
    const [[x, y]] = points;
    return [svg("path", { d: path(points), class: "front" }), svg("circle", { cx: x, cy: y, r: 4, class: "dot" }), arrow(points.at(-1), 0.7)];
  }

  wire({ points, valve: set, flipped }) {
    const back = svg("path", { d: path(points), class: "back" }), front = svg("path", { d: path(points), class: "front" });
    back.style.stroke = front.style.stroke = this.colour(set);
    this.renew(() => { front.style.strokeWidth = 5 * clamp(flipped ? 1 - this.open(set) : this.open(set), 0, 1) || 0; });
    return [back, front];
  }

  pipe({ points, tree, like, end, main }) {
    const [element, flow] = pipe(points, main ? 1.3 : 1), head = end ? [arrow(points.at(-1))] : [];
    element.classList.toggle("main", Boolean(main));
    this.renew(() => flow(this.seen.theme, this.value(tree), this.most(like)));
    return [element, ...head];
  }

  box({ x, y, label, symbol, of, inside }) {
    const [element, put] = box(x, y, widthOf({ label, of }), BOX, label, of);
    const role = this.roleOf(symbol);
    element.style.setProperty("--role", role && role.does !== "holds" ? role[this.seen.theme.mode] : this.seen.theme.ink);
    if (inside !== null) this.renew(() => put(this.value(inside)));
    return [element];
  }

  curve({ x, y, label, of, inside }) {
    const [element, put] = box(x, y, widthOf({ label, of }), 38, label, of);
    if (of) this.renew(() => put(this.value(inside)));
    return [element];
  }

  valve({ x, y, valve: set, does }) {
    const [element, turn] = valve(x, y, does === "keeps" ? 0 : 90, does === "looks_back" ? VALVE - 3 : VALVE);
    element.style.setProperty("--role", this.colour(set));
    element.classList.toggle("fixed", set.fixed !== null);
    this.renew(() => turn(this.open(set)));
    return [element];
  }

  sum({ x, y }) { return [sum(x, y)]; }
  dot({ x, y }) { return [svg("circle", { cx: x, cy: y, r: 4.5, class: "dot" })]; }
  cap({ x, y }) { return [svg("path", { d: `M${x},${y - 13} v26`, class: "end" })]; }

  flip({ x, y, valve: set }) {
    const house = svg("rect", { x: x - 17, y: y - 12, width: 34, height: 24, rx: 12, class: "house" });
    house.style.stroke = this.colour(set);
    return [house, svg("text", { x, y: y + 5, "text-anchor": "middle", class: "name" }, ["1 −"])];
  }

  matrix({ x, y, symbol }) {
    const w = Math.max(34, 14 + 7.5 * symbol.length);
    return [svg("rect", { x: x - w / 2, y: y - 12, width: w, height: 24, rx: 4, class: "frame" }), svg("text", { x, y: y + 5, "text-anchor": "middle", class: "name" }, signs(symbol))];
  }

  prepared({ x, y, height, symbols }) {
    const begin = y + 5 - 9 * (symbols.length - 1);
    return [svg("rect", { x: x - 26, y: y - height / 2, width: 52, height, rx: 8, class: "frame" }),
      ...symbols.map((symbol, k) => svg("text", { x, y: begin + 18 * k, "text-anchor": "middle", class: "name" }, signs(symbol)))];
  }

  // What is written of a value, and where.
  written({ kind, x, y, anchor, symbol, tree, valve: set, symbols }) {
    const name = svg("tspan", { class: "symbol" }, [primed(set?.symbol ?? symbol ?? symbols?.join(" ") ?? "")]), value = svg("tspan", { class: "number" });
    const element = svg("text", { x, y: y + 5, "text-anchor": anchor, class: `label ${kind}` }, [name]);
    const role = set ? null : this.roleOf((symbol ?? "").replace("'", ""));
    if (set) name.style.fill = this.colour(set);
    else if (role) name.style.fill = role[this.seen.theme.mode];
    if (symbols) {
      element.classList.toggle("several", symbols.length > 1);
      const what = svg("tspan", { x, dy: 17, class: "number few" });
      this.renew(() => { what.textContent = this.vector(symbols); });
      element.append(what);
      return element;
    }
    if (kind === "end") {
      value.setAttribute("x", x);
      value.setAttribute("dy", 20);
    } else if (name.textContent) element.append("\u2002");
    element.append(value);
    const fixed = set && set.fixed !== null;
    this.renew(() => { value.textContent = fixed ? `= ${whole(set.fixed)}` : set ? number(this.open(set)) : this.told(tree); });
    return element;
  }

  vector([symbol]) {
    const { reading, at: { time, layer } } = this.seen, sign = inline(reading.signs[time]);
    if (symbol !== "x") return "";
    return layer ? `layer ${layer}` : sign.length > 7 ? `${sign.slice(0, 6)}…` : `“${sign}”`;
  }

  // ---- what a person points at ---------------------------------------------------------------------------------------

  partOf(target) {
    const found = this.parts?.findIndex(({ element }) => element.contains(target)) ?? -1;
    return found >= 0 && this.parts[found].kind !== "dot" ? found : null;
  }

  // At a part, by its number, or at none.
  point(at) {
    if (this.pointed === at || !this.found) return;
    if (this.pointed !== null) this.parts[this.pointed].element.classList.remove("pointed");
    this.pointed = at;
    if (at !== null) this.parts[at].element.classList.add("pointed");
    this.host.point?.(at === null ? null : this.symbolOf(this.parts[at]));
    this.say();
  }

  // Up and down go from part to part, left and right from step to step.
  walk(event) {
    const { key, ctrlKey, metaKey, altKey } = event, by = { ArrowUp: -1, ArrowDown: 1, ArrowLeft: -1, ArrowRight: 1 }[key];
    if (!by || ctrlKey || metaKey || altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const { order, pointed, seen: { reading, at } } = this, now = order.indexOf(pointed);
    if (key === "ArrowLeft" || key === "ArrowRight") return this.host.select?.({ time: clamp(at.time + by, 0, reading.count - 1) });
    this.point(order[now < 0 && by < 0 ? order.length - 1 : (now + by + order.length) % order.length]);
  }

  // The symbol whose equation a part is of.
  symbolOf(part) {
    const { valve: set, symbol, tree, symbols, kind } = part, { equations } = this.cell;
    const named = [symbol, set?.symbol, set?.gate, typeof tree === "string" ? tree : null].find((each) => each in equations);
    if (kind === "pipe" && !named) return Object.keys(equations).find((each) => text(equations[each]).includes(text(tree))) ?? null;
    return named ?? symbols?.find((each) => each in equations) ?? null;
  }

  say() {
    const part = this.pointed === null ? null : this.parts[this.pointed];
    const said = part ? this.describe(part) : "Point at a part to learn what it is. A valve along its pipe is open, across it shut; blue is below 0, red above.";
    if (this.captioned !== said) this.caption.replaceChildren(...withIndices(said));
    this.captioned = said;
  }

  describe(part) {
    const { kind, symbol, tree, valve: set, symbols, inside, of, sees, flipped } = part, { equations } = this.cell;
    const role = (each) => this.roleOf(each), named = (each) => role(each)?.label ?? each, means = (each) => role(each)?.meaning ?? "";
    const said = (each) => `${primed(text(each))} = ${this.told(each)}`;
    switch (kind) {
      case "valve":
        if (set.fixed !== null) return `${named(set.symbol)}: ${set.symbol} = ${whole(set.fixed)} at every step, so there is no gate here. Past it flows ${said(set.passed)}.`;
        return `${named(role(set.symbol) ? set.symbol : set.gate)}: ${set.symbol} = ${number(this.open(set))}. Past it flows ${said(set.passed)}. ${means(set.symbol)}`;
      case "box": {
        const worked = of === null || of === "u" ? "" : ` = ${text(withNumber(of, number(this.value(inside))))}`;
        return `${named(symbol)}: ${symbol} = ${primed(text(equations[symbol]))}${worked} = ${number(this.value(symbol))}. ${means(symbol)}`;
      }
      case "curve": return `${said(tree)}, of ${said(inside)}.`;
      case "pipe":
        if (typeof tree !== "string") return `${said(tree)}${this.passed.has(text(tree)) ? `: ${this.passed.get(text(tree))}` : ""}.`;
        if (tree.endsWith("'")) return `${said(tree)}: the ${named(tree.slice(0, -1))} of the step before.`;
        return `${said(tree)}: ${named(tree)}. ${means(tree)}`;
      case "stem": return tree === null ? `What ${symbol} reads.` : `${said(tree)}, on its way to ${symbol}.`;
      case "peek": return `A peephole: ${symbol} sees ${said(sees)}, of its own unit alone.`;
      case "wire":
        if (!set.flipped || flipped) return `${named(set.gate)}: ${said(set.gate)} ${flipped ? "shuts" : "opens"} the valve.`;
        // falls through: it is behind “1 −”
      case "flip": return `What is missing to 1: ${set.symbol} = ${number(this.open(set))}.`;
      case "sum": return `${symbol} = ${primed(text(equations[symbol]))} = ${number(this.value(symbol))}: what is kept and what is written are added.`;
      case "rail": return `${primed(symbols.join(", "))}: ${this.vectorSaid(symbols)}.`;
      case "matrix": return `The matrix ${symbol}: here the units are mixed.`;
      case "cap": return `Nothing of what was held stays on the belt: ${this.found.belt} is made anew at every step.`;
      case "prepared": {
        const made = symbols.map((each) => (each === "LN" ? "what the matrices make is normalised (LN)" : `${each} = ${primed(text(equations[each]))}`));
        return `Before the boxes read them: ${made.join("; ")}.`;
      }
    }
  }

  vectorSaid([symbol, ...more]) {
    const { layer } = this.seen.at, count = `${this.sizeOf(symbol)} numbers`;
    if (symbol === "x") return `${count}, ${layer ? `what layer ${layer} shows` : "what is read"}`;
    if (!symbol.endsWith("'")) return `${count} of no one unit`;
    return more.length ? `of all units at the step before, ${count} each` : `${count}, what was shown at the step before`;
  }

  sizeOf(symbol) { return this.values[symbol].length; }

  // All of it in a sentence.
  said() {
    const { cell: { name }, seen: { at: { unit } }, found: { belt, before, keep, write, show, candidate } } = this;
    const said = (symbol) => `${symbol} = ${number(this.value(symbol))}`, valves = [keep, write, show?.valve].filter(Boolean);
    const parts = [...valves.map((set) => `${set.symbol} = ${number(this.open(set))}`), ...(candidate === belt ? [] : [said(candidate)])];
    const shows = show && !show.narrowed ? `; shown is ${said(show.shown)}` : "";
    return `A drawing of one step of ${name} for unit ${unit}: ${belt} goes from ${number(this.value(before))} to ${number(this.value(belt))}` +
      `${parts.length ? `, with ${parts.join(", ")}` : ""}${shows}. Arrow keys up and down go from part to part, left and right from step to step.`;
  }
}

// A tree with what is written of a number in the place of u.
function withNumber(tree, written) {
  if (tree === "u") return written;
  return Array.isArray(tree) ? [tree[0], ...tree.slice(1).map((part) => withNumber(part, written))] : tree;
}

// The head of an arrow that ends at a point, to the right of it.
function arrow([x, y], scale = 1) {
  const [a, b] = [9 * scale, 8 * scale];
  return svg("path", { d: `M${x - 1},${y - b} L${x + a},${y} L${x - 1},${y + b} Z`, class: "head" });
}
