// What if: gates and states that are held, scaled or cut, other tokens, and at once what the model does then.

import { LEVELS, NAN } from "../constants.js";
import { button, make, noteLines, writeNotes } from "../dom.js";
import { panelOf, rowsOf } from "../drawn.js";
import { ablated, ForcedReading, memoryOf, withoutMemory } from "../forcing.js";
import { applied, fromLink, linkOf, lookOf, said, whyNot } from "../interventions.js";
import { drawLine } from "../paint/lines.js";
import { drawPanel } from "../paint/panel.js";
import { betweenGutters, channels, write } from "../paint/pen.js";
import { lossScale } from "../paint/tokens.js";
import { chosen, lineAt, RIGHT, rows, x } from "../view.js";
import { called, inline, missing, named, number, signed } from "../words.js";
import { sampled, seeded } from "../writing.js";
import { choiceOf } from "./choice.js";
import { Editor } from "./editor.js";
import { LEAST, roundUp, Sheet, wordsOf } from "./sheet.js";

const KEY = 8, DRAG = 24, FRAME = 12; // milliseconds in which a text is read on under interventions: at a key, at a drag, and in a frame after that
const REST = 300; // milliseconds without a change, after which the model writes on
const LOSS = 74, MAP = 230; // CSS pixels
const WRITES = { char: 70, word: 14 }; // tokens that it writes on
const LISTED = 8; // tokens, and units
const MAPS = ["before", "after", "difference"];

export class HoldSection {
  constructor(place, host) {
    this.host = host;
    this.list = []; // interventions, see interventions.js
    this.told = ""; // as the link says them
    this.open = 0; // which of them is edited
    this.seed = 1;
    const add = (text, label, make) => button(text, label, () => this.add(make(this.seen)));
    const begin = ({ live, at }) => ({ off: false, layer: at.layer, units: [at.unit], from: at.time, to: null, role: live.roles.find(({ does }) => does === "keeps")?.role ?? live.roles[0].role });
    this.adds = make("div", "begin group", "", [
      add("hold a gate", "hold a gate or state at a value", (seen) => ({ ...begin(seen), op: "hold", value: 0 })),
      add("scale a state", "multiply what each token from the selected one on finds of a state, again and again", (seen) => ({ ...begin(seen), op: "scale", role: memoryOf(seen.live), value: 0 })),
      add("cut here", "let the selected token find nothing", ({ at }) => ({ off: false, op: "cut", at: at.time })),
      add("another token", "put another token in the place of the selected one", ({ at, reading }) => ({ off: false, op: "token", at: at.time, token: otherThan(reading, at.time) })),
    ]);
    this.problems = noteLines();
    this.items = make("ol", "interventions");
    this.roles = make("select", "");
    this.roles.setAttribute("aria-label", "the gate or state of the map");
    this.roles.addEventListener("change", () => host.option("role", this.roles.value));
    this.maps = choiceOf("the map", MAPS, (map) => host.option("map", map === "difference" ? null : map));
    this.sum = make("p", "sum");
    this.sum.setAttribute("aria-live", "polite");
    this.over = make("div", "over", "", [this.roles, this.maps.element, this.sum]);
    this.facts = make("div", "facts");
    const pictures = make("div", "pictures", "", [this.over]);
    this.sheet = new Sheet(pictures, "The loss and the map, before and after", (to) => host.select(to));
    place.append(this.adds, this.problems, this.items, make("div", "results", "", [pictures, this.facts]));
    this.likely = this.facts.appendChild(make("div", "card"));
    this.writing = new Writing(this.facts.appendChild(make("div", "card")), () => { this.seed++; this.writing.begin(this.seen.reading, this.current, this.seed); });
    this.ranking = new Ranking(this.facts.appendChild(make("div", "card")), (unit) => this.add({ off: false, ...withoutMemory(this.seen.live, this.seen.at.layer, unit) }));
  }

  show(seen) {
    const { reading, options, live, at } = seen, another = reading !== this.seen?.reading;
    this.seen = seen;
    if ((options.hold ?? "") !== this.told) this.hear(options.hold ?? "");
    if (another) {
      this.forced = new ForcedReading(reading);
      this.current = null; // interventions that it reads under
      this.running = false;
      this.roles.replaceChildren(...live.roles.map(({ role, label, symbol }) => Object.assign(make("option", "", `${label} ${symbol}`), { value: role })));
    }
    this.roles.value = lookOf(live, options.role)?.role ?? lookOf(live, memoryOf(live))?.role ?? live.roles[0].role;
    this.adds.lastChild.disabled = live.side !== null; // an image has no tokens
    this.words = wordsOf(reading);
    this.go(performance.now() + (this.dragged ? DRAG : KEY));
    this.showItems(); // after the picture, whose fonts would have the changed page laid out
    this.dragged = false;
    this.ranking.show(seen);
  }

  rest() {
    cancelAnimationFrame(this.next);
    clearTimeout(this.resting);
    this.writing.slices.stop();
    this.ranking.end();
  }

  // What the link says, and what of it is none.
  hear(text) {
    this.told = text;
    const [list, problems] = fromLink(text);
    this.list = list;
    this.open = list.length - 1;
    writeNotes(this.problems, problems.map((problem) => ["warning", problem]));
  }

  // ---- what a person does ----------------------------------------------------------------------------------------------

  add(intervention) {
    this.open = this.list.length;
    this.tell([...this.list, intervention]);
  }

  change(k, change) {
    this.dragged = true;
    this.tell(this.list.map((each, other) => (other === k ? { ...each, ...change } : each)));
  }

  remove(k) {
    this.open = Math.min(this.open, this.list.length - 2);
    this.tell(this.list.filter((_, other) => other !== k));
  }

  tell(list) { // the link, which shows this part again
    this.list = list;
    this.told = linkOf(list);
    this.host.option("hold", this.told || null);
  }

  showItems() {
    const { list, items, words, seen, seen: { live, reading: { opened } } } = this;
    while (items.children.length > list.length) items.lastChild.remove();
    list.forEach((each, k) => {
      const item = items.children[k] ?? items.appendChild(this.itemFor(k));
      item.box.checked = !each.off;
      item.classList.toggle("off", Boolean(each.off));
      item.words.textContent = said(each, live, words);
      item.words.setAttribute("aria-expanded", k === this.open);
      item.why.textContent = whyNot(each, opened, seen.reading.count);
      item.editor.element.hidden = k !== this.open;
      if (k === this.open) item.editor.show(each, seen);
    });
  }

  itemFor(k) {
    const item = make("li", "");
    item.box = Object.assign(make("input", ""), { type: "checkbox", title: "whether it counts", onchange: () => this.change(k, { off: !item.box.checked }) });
    item.box.setAttribute("aria-label", "whether this intervention counts");
    item.words = button("", "change it", () => { this.open = this.open === k ? -1 : k; this.showItems(); });
    item.words.removeAttribute("aria-label"); // its words are its name
    item.words.className = "words";
    item.why = make("p", "why");
    item.editor = new Editor((change) => this.change(k, change));
    item.append(make("div", "head", "", [item.box, item.words, button("×", "remove it", () => this.remove(k))]), item.why, item.editor.element);
    return item;
  }

  // ---- what the model does then ------------------------------------------------------------------------------------------

  // Read on under the interventions until the deadline, draw, and go on in the next frame. What is new while that lasts waits, so
  // that a slider that is dragged over a long text shows every so often where it is.
  go(deadline) {
    const { forced, seen } = this, wanted = applied(this.list, seen.reading.opened, seen.reading.count), key = JSON.stringify(wanted);
    cancelAnimationFrame(this.next);
    if (this.current === null || (!this.running && key !== this.key)) {
      forced.force(wanted);
      Object.assign(this, { current: wanted, key });
    }
    const done = forced.follow(deadline);
    this.running = !done;
    if (done) this.draw();
    if (!done || key !== this.key) this.next = requestAnimationFrame(() => this.go(performance.now() + FRAME));
  }

  draw() {
    const { forced, seen, words } = this, { reading, at, theme } = seen, none = !this.current.length;
    const own = this.current.some(({ op }) => op === "token") ? wordsOf(forced) : words;
    const [before, after] = [reading.nll, forced.nll].map((list) => list.map((loss) => (Number.isFinite(loss) ? loss : null)));
    const first = this.current.length ? Math.max(0, forced.first) : null;
    const changed = (t) => (missing(after[t]) || missing(before[t]) ? 0 : after[t] - before[t]);
    const tint = (t) => [...colourOf(theme, changed(t)), Math.min(0.85, Math.abs(changed(t)) / lossScale(words.level))];
    const rows = [this.losses(before, after, first), this.map(first)];
    this.sheet.show({ words: own, theme, at, tint, rows });
    const nothing = this.list.length ? "None of it is in force: this is the model as it is." : "Nothing is held yet: hold a gate, and see what would change.";
    this.sum.replaceChildren(...(none ? [nothing] : comparison(before, after)));
    this.showLikely();
    clearTimeout(this.resting);
    this.writing.wait(reading);
    this.resting = setTimeout(() => this.writing.begin(seen.reading, this.current, this.seed), REST);
  }

  losses(before, after, first) {
    const { seen: { theme, at }, words } = this, most = (losses) => losses.reduce((a, b) => Math.max(a, b ?? 0), 0);
    const draw = (paint, view, y) => {
      const top = Math.max(lossScale(words.level), most(before.slice(view.from, view.to)), most(after.slice(view.from, view.to)));
      const place = (loss) => y + LOSS - 2 - (loss / top) * (LOSS - 8), bottom = y + LOSS;
      betweenGutters(paint, view, y, LOSS + 1, () => {
        paint.fillStyle = theme.line;
        paint.fillRect(view.left, bottom - 1, view.end - view.left, 1);
        if (first !== null) markFirst(paint, view, first, y, LOSS, theme);
        drawLine(paint, view, before, place, { colour: theme.loss, width: 1.5, dash: [4, 3] });
        drawLine(paint, view, after, place, { colour: theme.perplexity, width: 2 });
      });
      const row = (label, value, down, colour) => {
        write(paint, theme, label, view.gutter - 54, y + down, { colour, room: view.gutter - 56 });
        write(paint, theme, value, view.gutter - 12, y + down, { weight: 600, colour, room: 38 });
      };
      row(view.narrow ? "before" : "loss before ┄", number(before[at.time]), 20, theme.loss);
      row(view.narrow ? "after" : "loss after ─", number(after[at.time]), 42, theme.perplexity);
      write(paint, theme, `${number(top, 0)} nats`, view.end + 8, y + 6, { size: 11, align: "left", alpha: 0.75, room: RIGHT - 10 });
    };
    const tell = (t) => [called(words, t), `loss ${number(before[t])} before, ${number(after[t])} after`];
    return { height: LOSS, draw, tell };
  }

  map(first) {
    const { seen: { reading, at, theme, live }, forced, words } = this, dpr = window.devicePixelRatio || 1, look = lookOf(live, this.roles.value);
    const { map } = this.seen.options, which = !this.current.length ? "before" : MAPS.includes(map) ? map : "difference";
    this.maps.set(which);
    const { units: [order], telling } = rowsOf(reading, [at.layer], "telling"), shown = chosen(order, telling[0], MAP, at.unit);
    const panel = which === "difference" ? this.difference(look, shown) : panelOf(which === "before" ? reading : forced, at.layer, look);
    const place = { panel, units: shown, first: 0, names: true, alone: true, ...rows(shown.length, MAP, 1, dpr) };
    const draw = (paint, view, y) => {
      drawPanel(paint, view, { ...place, y }, theme);
      if (first !== null) betweenGutters(paint, view, y, place.height, () => markFirst(paint, view, first, y, place.height, theme));
    };
    const unitsAt = (down) => lineAt({ ...place, y: 0 }, down, dpr).units;
    const tell = (t, down) => {
      const units = unitsAt(down);
      if (!units.length) return [];
      const mean = (of) => units.reduce((sum, unit) => sum + of.trace.values(at.layer, look.role)[t * live.size + unit], 0) / units.length;
      const [was, is] = [mean(reading), mean(forced)];
      return [called(words, t), `${named(units)} · ${look.label} ${look.symbol}`, `${number(was, 3)} before, ${number(is, 3)} after: ${signed(is - was)}`];
    };
    const pick = (time, down) => ({ time, unit: unitsAt(down).includes(at.unit) ? at.unit : unitsAt(down)[0] ?? at.unit });
    return { height: place.height, draw, tell, pick };
  }

  // The colours reach as far as these units change: those that are not shown, as one that is scaled ever again, do not pale them.
  difference(look, units) {
    const { seen: { reading, at, live }, forced } = this, [was, is] = [reading, forced].map(({ trace }) => trace.values(at.layer, look.role));
    if (this.codes?.length !== is.length) this.codes = new Uint16Array(is.length);
    let most = 0;
    for (let k = 0; k < is.length; k += live.size) for (const unit of units) most = Math.max(most, Math.abs(is[k + unit] - was[k + unit]) || 0);
    const reach = roundUp(Math.max(LEAST, Math.min(most, 1e30))), gain = LEVELS / (2 * reach);
    for (let k = 0; k < is.length; k++) {
      const code = (is[k] - was[k] + reach) * gain;
      this.codes[k] = code >= 0 ? Math.min(LEVELS, code + 0.5) : code < 0 ? 0 : NAN;
    }
    return { ...look, label: `change of ${look.label}`, layer: at.layer, layer_label: live.tracks[at.layer].label, low: -reach, high: reach, limit: reach, signed: true, mean: undefined, begin: 0, end: forced.count, size: live.size, codes: this.codes };
  }

  showLikely() {
    const { seen: { reading, reading: { opened }, at: { time }, theme, live }, forced, words, likely } = this;
    const ids = [...new Set([...forced.likely[time].ids.slice(0, 5), ...reading.likely[time].ids.slice(0, 5)])].slice(0, LISTED);
    const probability = (of, id) => Math.exp(of.trace.scores(time)[id]);
    const pairs = ids.map((id) => [opened.sign(id)[0], probability(reading, id), probability(forced, id)]).sort(([, , a], [, , b]) => b - a);
    if (!likely.firstChild) likely.append(make("h4", ""), make("div", "pairs"));
    const [title, table] = likely.children;
    title.textContent = `${live.task.asks}${opened.asked ? ": " : " after "}${called(words, time)}`;
    while (table.children.length < pairs.length) table.append(pairRow());
    [...table.children].forEach((row, k) => {
      row.hidden = k >= pairs.length;
      if (!row.hidden) row.fill(...pairs[k], theme);
    });
  }
}

// Another token than the one that stands there: the likeliest.
function otherThan({ likely, ids, opened: { reads, says } }, time) {
  const id = (likely[time - 1]?.ids ?? []).find((each) => each !== ids[time] && reads === says) ?? (ids[time] === reads.length - 1 ? reads.length - 2 : reads.length - 1);
  return reads.tokens[id];
}

// What is said of the losses, over all tokens that have one before.
function comparison(before, after) {
  const times = [...before.keys()].filter((t) => before[t] !== null), mean = (losses) => times.reduce((sum, t) => sum + losses[t], 0) / times.length;
  const written = (losses) => Number(mean(losses).toFixed(2)); // so that the difference is that of the two that stand there
  if (!times.length) return ["No token here has a loss that could change."];
  const said = ["Mean loss ", make("b", "", number(mean(before))), " before"], by = written(after) - written(before);
  if (times.some((t) => missing(after[t]))) return [...said, "; after, there are tokens without a loss that is a number."];
  return [...said, ", ", make("b", "", number(mean(after))), ` after: ${Math.abs(by) < 0.005 ? "as good" : `${number(Math.abs(by))} nats ${by > 0 ? "worse" : "better"}`}.`];
}

const colourOf = (theme, change) => channels(theme.signed[change > 0 ? 235 : 20]);

function markFirst(paint, view, first, y, height, theme) { // from where on it counts
  paint.fillStyle = theme.primary;
  for (let down = 0; down < height; down += 6) paint.fillRect(x(view, first) - 1, y + down, 1.5, 3);
}

// What was likely before and after, as two bars of one token.
function pairRow() {
  const name = make("span", "name"), bars = ["was", "is"].map((when) => make("i", when)), value = make("span", "value");
  const row = make("div", "pair", "", [name, make("span", "bars", "", bars), value]);
  row.fill = (token, was, is, theme) => {
    name.textContent = token;
    [was, is].forEach((share, k) => {
      bars[k].style.width = `${100 * (share || 0)}%`;
      bars[k].style.background = k ? theme.perplexity : theme.loss;
    });
    value.textContent = `${number(was)} → ${number(is)}`;
    row.title = `${inline(token)}: ${number(was, 4)} before, ${number(is, 4)} after`;
  };
  return row;
}

// Work in slices of a few milliseconds, `act` for each value that comes, until it is over, another begins, or it is stopped.
class Slices {
  begin(steps, act, end) {
    this.stop();
    const on = () => {
      const until = performance.now() + 6;
      try {
        do {
          const { done, value } = steps.next();
          if (done) { this.timer = null; return end(); }
          act(value);
        } while (performance.now() < until);
      } catch (error) {
        this.timer = null;
        return end(error);
      }
      this.timer = setTimeout(on);
    };
    this.timer = setTimeout(on);
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
  }
}

// What the model writes on, before and after, with the same random numbers.
class Writing {
  constructor(card, again) {
    this.card = card;
    this.slices = new Slices();
    this.lines = ["before", "after"].map((when) => make("p", when));
    card.append(make("h4", "", "at the end it writes on, with the same draws", [button("others", "other draws", again)]), ...this.lines);
  }

  wait(reading) { // what is shown was written under other interventions
    this.slices.stop();
    this.card.hidden = reading.opened.asked || Boolean(reading.image);
  }

  begin(reading, interventions, seed) {
    if (this.card.hidden) return;
    const texts = ["", ""], show = () => this.lines.forEach((line, k) => { line.textContent = texts[k]; });
    function* both() {
      for (const [k, list] of [[0, []], [1, interventions]]) {
        const forced = new ForcedReading(reading);
        forced.force(list);
        while (!forced.follow(0)) yield null;
        for (const id of drawn(forced, seed)) {
          const { says } = reading.opened, joint = says.level === "char" || !texts[k] ? "" : " ";
          texts[k] += joint + (says.tokens[id] === " " ? " " : reading.opened.sign(id)[0]);
          yield null;
        }
      }
    }
    this.slices.begin(both(), () => {}, (error) => {
      if (error) texts[1] = `It cannot be continued: ${error.message}.`;
      show();
    });
  }
}

function* drawn({ trace, opened: { live, says } }, seed) {
  const random = seeded(seed);
  for (let left = WRITES[says.level] ?? 24; left > 0; left--) {
    const id = sampled(trace.scores(trace.count - 1), { temperature: 1, topK: 0 }, random, live.notes);
    trace.add(id);
    yield id;
  }
}

// Which unit matters: each without its memory in turn.
class Ranking {
  constructor(card, take) {
    this.slices = new Slices();
    this.take = take;
    this.over = "at this token";
    this.choice = choiceOf("where", ["at this token", "in all of it"], (over) => { this.over = over; this.clear(); this.show(this.seen); });
    this.go = button("which unit matters?", "leave out each unit's memory in turn", () => (this.slices.timer ? this.end() : this.begin()));
    this.note = make("p", "quiet");
    this.list = make("div", "ranks");
    card.append(make("h4", "", "which unit matters here?"), make("div", "over", "", [this.choice.element, this.go]), this.note, this.list);
    this.clear();
  }

  show(seen) {
    const { reading, at } = (this.seen = seen), key = JSON.stringify([reading.ids, reading.right, reading.count, at.layer, this.over === "at this token" && at.time]);
    this.choice.set(this.over);
    if (key !== this.key || reading !== this.of) this.clear();
    Object.assign(this, { key, of: reading });
  }

  clear() {
    this.slices.stop();
    this.found = [];
    this.list.replaceChildren();
    this.go.textContent = "rank the units";
    this.note.textContent = "Each unit's memory is left out in turn; the loss says which one mattered.";
  }

  begin() {
    const { seen: { reading, at, live } } = this, time = this.over === "at this token" ? at.time : null;
    this.clear();
    if (!(time === null ? reading.nll : [reading.nll[time]]).some(Number.isFinite)) return void (this.note.textContent =
      reading.opened.asked ? "Nobody knows what is right here, so that no unit can be told to matter." : "Nothing predicts the first token, so that no unit matters there.");
    this.go.textContent = "stop";
    const show = () => {
      this.note.textContent = `${this.found.length} of ${live.size} units left out; how much larger the loss is, in nats.`;
      const most = [...this.found].sort((a, b) => Math.abs(b.by) - Math.abs(a.by)).slice(0, LISTED), largest = Math.abs(most[0]?.by ?? 1) || 1;
      while (this.list.children.length < most.length) this.list.append(rankRow((unit) => this.take(unit)));
      most.forEach(({ unit, by }, k) => this.list.children[k].fill(unit, by, largest));
    };
    let drew = 0;
    const heard = (value) => {
      if (!value) return;
      if (Number.isFinite(value.by)) this.found.push(value);
      if (performance.now() - drew < 100) return;
      drew = performance.now();
      show();
    };
    this.slices.begin(ablated(reading, at.layer, time), heard, (error) => { if (error) throw error; show(); this.end(); });
  }

  end() {
    this.slices.stop();
    this.go.textContent = "rank the units";
  }
}

function rankRow(take) {
  const name = make("b", ""), bar = make("i", ""), value = make("span", "value"), row = button("", "", () => take(row.unit));
  row.className = "rank";
  row.append(name, make("span", "bars", "", [bar]), value);
  row.fill = (unit, by, most) => {
    row.unit = unit;
    name.textContent = `unit ${unit}`;
    bar.style.width = `${(100 * Math.abs(by)) / most}%`;
    bar.className = by < 0 ? "better" : "";
    value.textContent = `${by > 0 ? "+" : ""}${number(by, Math.abs(by) < 0.1 ? 4 : 2)}`;
    row.title = `leave out the memory of unit ${unit}: its loss changes by ${value.textContent} nats`;
    row.setAttribute("aria-label", row.title);
  };
  return row;
}
