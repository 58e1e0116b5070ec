// Four numbers that a person types or drags, and what the operations of a cell make of them, drawn with the parts of its drawing;
// below them how many numbers the model at hand learns, block by block.

import { button, make } from "../dom.js";
import { evaluate } from "../equations.js";
import { clamp } from "../view.js";
import { number, percent } from "../words.js";
import { counted, numbersIn } from "./count.js";
import { box, colourOf, pipe, sum, svg, valve } from "./drawing.js";
import { widthOf } from "./layout.js";

const FIRST = [1, 3, 0, -2], MOST = 10; // a number lies between −10 and 10; one that a gate says between 0 and 1
const LANE = 230, HIGH = 46; // CSS pixels of the drawing of one number's way

// `tree` of a and b; `second`: what b is, with vectors to take. In a link an operation has its own name.
const OPERATIONS = {
  sigma: { sign: "σ", tree: ["σ", "a"], says: "σ brings every number to between 0 and 1: large ones near 1, small ones near 0. So a gate is made." },
  tanh: { sign: "tanh", tree: ["tanh", "a"], says: "tanh brings every number to between −1 and 1 and keeps its sign: what is written may go up or down." },
  times: {
    sign: "⊙", tree: ["*", "a", "b"], says: "⊙ multiplies number by number: a gate of 0 erases, of 1 lets pass, between them it lets a part through.",
    second: { name: "gate", low: 0, first: [0, 1, 1, 0.5], take: { "all 0": [0, 0, 0, 0], "all 1": [1, 1, 1, 1], "0 and 1": [0, 1, 0, 1], "half": [0.5, 0.5, 0.5, 0.5] } },
  },
  plus: {
    sign: "+", tree: ["+", "a", "b"], says: "+ adds number by number: what was kept stays, and what is written comes to it.",
    second: { name: "addend", low: -MOST, first: [1, -1, 2, 0], take: { "all 0": [0, 0, 0, 0], "all 1": [1, 1, 1, 1], "opposite": (a) => a.map((value) => -value || 0) } },
  },
};
const highest = (second) => (second?.low === 0 ? 1 : MOST);

// What is in the sandbox at first, and as a link says it: "sigma:1,3,0,-2", "times:1,3,0,-2;0,1,1,0.5".
export function begun(said) {
  const state = { op: "sigma", a: [...FIRST], times: [...OPERATIONS.times.second.first], plus: [...OPERATIONS.plus.second.first], problem: "" };
  if (!said) return state;
  const [, op, vectors = ""] = /^(\w+):([-\d.,;]+)$/.exec(said) ?? [];
  const [a, b, ...more] = vectors.split(";").map((vector) => vector.split(",").map((typed) => read(typed, -MOST, MOST)));
  const { second } = Object.hasOwn(OPERATIONS, op) ? OPERATIONS[op] : {}, good = (vector) => vector?.length === 4 && vector.every(Number.isFinite);
  const known = Object.hasOwn(OPERATIONS, op) && good(a) && !more.length && (second ? good(b) && b.every((value) => value >= second.low && value <= highest(second)) : b === undefined);
  if (!known) return { ...state, problem: `The link's sandbox “${said.slice(0, 60)}” is no operation on four numbers from −${MOST} to ${MOST}: this is the first example instead.` };
  return { ...state, op, a, ...(second ? { [op]: b } : {}) };
}

export const linkOf = ({ op, a, ...seconds }) => `${op}:${[a, ...(seconds[op] ? [seconds[op]] : [])].join(";")}`;

// What the operation makes of the numbers.
export const madeOf = ({ op, a, ...seconds }) => a.map((value, k) => evaluate(OPERATIONS[op].tree, { a: value, b: seconds[op]?.[k] }));

// A number as it is typed, also with a decimal comma or a typographic minus; else a sentence that says what it must be.
export function read(typed, low, high) {
  const said = typed.trim().replace("−", "-").replace(/^([^,]*),([^,]*)$/, "$1.$2"), value = Number(said);
  if (said && Number.isFinite(value) && value >= low && value <= high) return value;
  const what = !said ? "There is no number" : !Number.isFinite(value) ? `“${typed.slice(0, 20)}” is no number` : `${typed.slice(0, 20)} is outside`;
  return `${what}: type one from ${number(low, 0)} to ${number(high, 0)}.`;
}

const vector = (values, digits) => `[${values.map((value) => plain(value, digits)).join(", ")}]`;
const plain = (value, digits) => (digits === undefined ? `${Number(value.toFixed(2))}`.replace("-", "−") : number(value, digits));

export class SandboxSection {
  constructor(place, host) {
    this.host = host;
    this.state = null;
    this.root = place.appendChild(make("div", "sandbox"));
    this.said = make("p", "result");
    this.says = make("p", "quiet");
    this.problem = make("p", "problem");
    this.problem.setAttribute("role", "status");
    this.choice = make("div", "choice");
    this.choice.setAttribute("role", "group");
    this.choice.setAttribute("aria-label", "operation");
    this.table = make("div", "lanes");
    this.count = make("div", "count");
    this.root.append(this.choice, this.said, this.table, this.problem, this.says, this.count);
    for (const [op, { sign }] of Object.entries(OPERATIONS)) {
      const element = button(sign, `${sign} on four numbers`, () => this.set({ op }));
      element.dataset.op = op;
      this.choice.append(element);
    }
  }

  show({ live, theme, options }) {
    if (this.told !== options.sandbox || !this.state) { // a link, and not what was told to it
      this.state = begun(options.sandbox);
      this.told = options.sandbox;
      this.build(theme);
    } else if (this.mode !== theme.mode) this.build(theme);
    this.theme = theme;
    this.root.style.setProperty("--gate", live.roles.find(({ does }) => does === "keeps")?.[theme.mode] ?? theme.ink);
    this.renew();
    if (this.counted !== live) this.tell(live);
    this.counted = live;
  }

  // A person changes something.
  set(change) {
    const built = change.op && change.op !== this.state.op;
    this.state = { ...this.state, ...change, problem: "" };
    this.told = linkOf(this.state);
    if (built) this.build(this.theme);
    this.renew();
    this.host.option("sandbox", this.told);
  }

  build(theme) {
    const { op } = this.state, { sign, second, tree } = OPERATIONS[op];
    Object.assign(this, { mode: theme.mode, theme });
    this.table.className = `lanes${second ? " two" : ""}`;
    const heads = [make("b", "", "numbers"), ...(second ? [make("b", "", second.name)] : []), make("b", "blank"), make("b", "", "becomes")];
    const takes = [this.takes({ "[1, 3, 0, −2]": FIRST }, "a"), ...(second ? [this.takes(second.take, op)] : []), make("span", "blank"), make("span", "blank")];
    this.rows = FIRST.map((_, k) => {
      const a = this.entry("a", k, -MOST, MOST, "number"), b = second && this.entry(op, k, second.low, highest(second), second.name);
      return { a, b, lane: this.lane(sign, tree, second), after: outcome() };
    });
    this.table.replaceChildren(...heads, ...this.rows.flatMap(({ a, b, lane, after }) => [a.element, ...(b ? [b.element] : []), lane.element, after.element]), ...takes);
    for (const element of this.choice.children) element.setAttribute("aria-pressed", element.dataset.op === op);
  }

  // A number to be typed, and a bar to be dragged.
  entry(name, k, low, high, called) {
    const typed = make("input", "typed"), bar = make("input", "slide"), label = `${called} ${k + 1}`;
    Object.assign(typed, { type: "text", inputMode: "decimal", autocomplete: "off" });
    Object.assign(bar, { type: "range", min: low, max: high, step: high === 1 ? 0.01 : 0.1 });
    typed.setAttribute("aria-label", label);
    bar.setAttribute("aria-label", `${label}, to be dragged`);
    const put = (value) => this.set({ [name]: this.state[name].map((old, j) => (j === k ? value : old)) });
    typed.addEventListener("input", () => {
      const value = read(typed.value, low, high);
      typed.setAttribute("aria-invalid", typeof value === "string");
      if (typeof value === "number") return put(value);
      this.problem.textContent = `${value} Until then it is ${plain(this.state[name][k])}.`;
    });
    typed.addEventListener("blur", () => { // what was no number is the last one again
      if (typed.getAttribute("aria-invalid") === "true") this.problem.textContent = "";
      typed.setAttribute("aria-invalid", false);
      this.renew();
    });
    bar.addEventListener("input", () => put(Number(bar.value)));
    const show = () => {
      const value = this.state[name][k], zero = (100 * -low) / (high - low), at = 100 * clamp((value - low) / (high - low), 0, 1);
      if (typed.getRootNode().activeElement !== typed) typed.value = plain(value);
      bar.value = value;
      bar.style.setProperty("--from", `${Math.min(zero, at)}%`);
      bar.style.setProperty("--to", `${Math.max(zero, at)}%`);
      bar.style.setProperty("--colour", name === "times" ? "var(--gate)" : colourOf(this.theme, Math.sign(value) * 0.8, 1));
    };
    return { element: make("div", "entry", "", [typed, bar]), show };
  }

  takes(vectors, name) {
    return make("div", "takes", "", Object.entries(vectors).map(([label, values]) =>
      button(label, `take ${label}`, () => this.set({ [name]: typeof values === "function" ? values(this.state.a) : [...values] }))));
  }

  // The way of one number: in a pipe to the operation, and out of it.
  lane(sign, tree, second) {
    const middle = LANE / 2, y = HIGH / 2, sums = sign === "+";
    const [left, flows] = pipe([[0, y], [middle, y]]), [right, leaves] = pipe([[middle, y], [LANE, y]]), [above, comes] = pipe([[middle, 0], [middle, y]]);
    const [node, put] = sums ? [sum(middle, y), () => {}] : second ? valve(middle, y) : box(middle, y, widthOf({ label: sign, of: true }), 38, sign, [tree[0], "u"]);
    const element = svg("svg", { viewBox: `0 0 ${LANE} ${HIGH}`, class: "lane", "aria-hidden": "true" }, [...(sums ? [above] : []), left, right, node]);
    return {
      element,
      show: (before, beside, after) => {
        flows(this.theme, before, 3);
        comes(this.theme, beside ?? 0, 3);
        leaves(this.theme, after, second ? 3 : 1);
        put(second ? beside : before);
      },
    };
  }

  renew() {
    const { state, rows } = this, { op, a } = state, { sign, second, says } = OPERATIONS[op], after = madeOf(state), most = second ? MOST : 1;
    rows.forEach((row, k) => {
      row.a.show();
      row.b?.show();
      row.lane.show(a[k], state[op]?.[k], after[k]);
      row.after.show(this.theme, after[k], most);
    });
    this.said.textContent = `${second ? `${vector(a)} ${sign} ${vector(state[op])}` : `${sign}(${vector(a)})`} = ${vector(after, 2)}`;
    this.says.textContent = says;
    this.problem.textContent = state.problem;
  }

  // ---- how many numbers the model learns -----------------------------------------------------------------------------

  tell(live) {
    const groups = counted(live), all = numbersIn(groups), many = (count) => count.toLocaleString("en"), { size, output } = live;
    const shares = groups.map((group) => {
      const count = numbersIn([group]), part = make("span", "", count < 0.1 * all ? "" : group.name);
      part.style.flexGrow = count;
      part.title = `${group.name}: ${many(count)}, ${percent(count / all)}`;
      return part;
    });
    const shown = output === size ? "" : `, p = ${many(output)} numbers that it shows`;
    const key = `h = ${many(size)} units, x = the numbers that a layer reads${shown}. A matrix has a row for each number that it makes.`;
    const row = (kind, cell, parts) => make("tr", kind, "", parts.map((part) => make(cell, "", "", [part])));
    const rows = groups.flatMap((group) => [
      row("group", "th", [group.name, "", many(numbersIn([group])), group.formula?.join(" = ") ?? ""]),
      ...group.blocks.map(({ symbol, shape, times, count, says }) => row("", "td", [
        set(symbol), shape.map(many).join(" × ") + (times > 1 ? `, ${times} times` : ""), many(count), says + (times > 1 ? `; kept as ${times} that are added` : ""),
      ])),
    ]);
    const table = make("table", "", "", [make("thead", "", "", [row("", "th", ["symbol", "shape", "numbers", "what it is"])]), make("tbody", "", "", rows)]);
    this.count.replaceChildren(make("h4", "", `This model learns ${many(all)} numbers`), make("div", "shares", "", shares), make("p", "quiet", key), table);
  }
}

// A symbol as it is set: what stands behind _ is an index.
function set(symbol) {
  const [sign, index] = symbol.split("_");
  return make("i", "", sign, index === undefined ? [] : [make("sub", "", index)]);
}

// A bar from the middle, and its number.
function outcome() {
  const fill = make("span", "fill"), said = make("span", "number"), element = make("div", "outcome", "", [said, make("div", "track", "", [fill, make("span", "middle")])]);
  return {
    element,
    show: (theme, value, most) => {
      const share = clamp(Math.abs(value) / most, 0, 1) * 50;
      Object.assign(fill.style, { left: `${value < 0 ? 50 - share : 50}%`, width: `${share}%`, background: colourOf(theme, Math.sign(value) * 0.8, 1) });
      said.textContent = number(value);
    },
  };
}
