// Who wrote the memory: what is held at the selected token, taken apart into what each token up to it wrote.

import { LEVELS, NAN } from "../constants.js";
import { afterFrame, make } from "../dom.js";
import { memoryIn } from "../memory.js";
import { barWidth } from "../paint/lines.js";
import { drawField, drawScale, frameRow } from "../paint/panel.js";
import { begin, betweenGutters, channels, resize, write } from "../paint/pen.js";
import { common } from "../reading.js";
import { lineAt, RIGHT, rows, x } from "../view.js";
import { called, missing, number, signed } from "../words.js";
import { choiceOf } from "./choice.js";
import { LEAST, roundUp, Sheet, wordsOf } from "./sheet.js";

const BARS = 96, MAP = 264, ROW = 22, LIVES = 128; // CSS pixels of the bars, of the map at most and of each of its rows, and of the half-lives
const SLICE = 4; // milliseconds of a frame in which rows are worked out

export class MemorySection {
  constructor(place, host) {
    this.host = host;
    this.why = place.appendChild(make("p", "quiet"));
    this.all = place.appendChild(make("div", "all"));
    this.of = choiceOf("whose memory", ["one unit", "all units"], (whose) => host.option("norm", whose === "all units" ? "1" : null));
    this.sum = make("p", "sum");
    this.sum.setAttribute("aria-live", "polite");
    this.all.append(make("div", "over", "", [this.of.element, this.sum]));
    this.sheet = new Sheet(this.all, "What each token wrote of what is held now, and at every time", (to) => host.select(to));
    this.title = this.all.appendChild(make("h4", ""));
    this.lives = this.all.appendChild(make("canvas", "lives"));
    this.lives.setAttribute("role", "img");
    this.lives.setAttribute("aria-label", "The half-life of every unit's memory in this sentence");
    this.paint = this.lives.getContext("2d", { alpha: false });
    this.tip = this.all.appendChild(make("div", "tip"));
    this.lives.addEventListener("click", ({ offsetX }) => { if (this.livesView) host.select({ unit: this.unitAt(offsetX) }); });
    this.lives.addEventListener("pointermove", (event) => this.hover(event));
    this.lives.addEventListener("pointerleave", () => { this.tip.style.display = "none"; });
    this.showLives = afterFrame(() => this.drawLives());
    this.kept = { rows: [], ids: [] }; // rows of the map that are known, and of which tokens
  }

  show(seen) {
    const { reading, trace, live, at, theme, options } = this.seen = seen;
    this.why.textContent = live.notes.no_sum ?? "";
    this.all.hidden = Boolean(live.notes.no_sum);
    if (this.all.hidden) return;
    this.memory = memoryIn(trace, at.layer);
    this.whole = options.norm === "1";
    this.of.set(this.whole ? "all units" : "one unit");
    this.words = wordsOf(reading);
    this.keepRows(`${at.layer} ${this.whole ? "all" : at.unit}`);
    this.theme = theme;
    this.go(performance.now() + SLICE);
    this.showLives();
  }

  rest() { clearTimeout(this.timer); }

  // Of the rows that were worked out those of the tokens that are still there.
  keepRows(whose) {
    const { reading } = this.seen, { kept } = this, same = kept.reading === reading && kept.whose === whose;
    const count = same ? Math.min(kept.rows.length, common(kept.ids, reading.ids)) : 0;
    this.kept = { reading, whose, rows: kept.rows.slice(0, count), mosts: same ? kept.mosts.slice(0, count) : [], ids: [...reading.ids] };
  }

  // Work out rows until the deadline, draw, and go on after the frame; the one that is selected goes first.
  go(deadline) {
    clearTimeout(this.timer);
    const { memory, whole, kept: { rows, mosts }, seen: { at } } = this;
    const row = (time) => (whole ? memory.norms(time) : memory.terms(time, at.unit));
    this.now = rows[at.time] ?? row(at.time);
    while (rows.length < memory.count && performance.now() < deadline) {
      rows.push(row(rows.length));
      mosts.push(rows.at(-1).reduce((most, value) => Math.max(most, Math.abs(value) || 0), mosts.at(-1) ?? 0));
    }
    this.draw();
    if (rows.length < memory.count) this.timer = setTimeout(() => this.go(performance.now() + SLICE));
  }

  draw() {
    const { whole, now, words, theme, seen: { at } } = this, { time, unit } = at;
    const own = now.reduce((most, value) => Math.max(most, Math.abs(value) || 0), LEAST);
    const reach = roundUp(Math.max(own, this.kept.mosts.at(-1) ?? 0));
    const shade = (value) => theme[whole ? "gates" : "signed"][Math.max(0, Math.min(255, Math.round(whole ? (255 * value) / reach : 127.5 * (1 + value / reach))))];
    const faint = [...channels(shade(0)), 0];
    const tint = (t) => (t <= time && !missing(now[t]) ? [...channels(shade(now[t])), 1] : faint);
    const title = whole ? "who wrote the memory of all units" : `who wrote what unit ${unit} holds`;
    const bars = { height: BARS, draw: (paint, view, y) => this.drawBars(paint, view, y, reach), tell: (t) => this.told(t, time, now[t]) };
    this.sheet.show({ words, theme, at, tint, rows: [bars, this.map(reach)] });
    this.say();
    this.title.textContent = `Half-life of each unit in this ${words.whole}`;
    this.sheet.canvas.setAttribute("aria-label", `${title}, after ${called(words, time)}`);
  }

  told(writer, time, value) {
    const { words, whole } = this, who = called(words, writer), much = whole ? `norm ${number(value, 3)}` : number(value, 3);
    if (writer > time) return [who, "is not read yet"];
    return [who, time === writer ? `wrote: ${much}` : `of what ${who} wrote, after ${called(words, time)} is left: ${much}`];
  }

  // ---- the bars, and their sum -------------------------------------------------------------------------------------

  drawBars(paint, view, y, reach) {
    const { now, whole, theme, seen: { at: { time }, live } } = this, zero = whole ? y + BARS - 4 : y + BARS / 2, room = whole ? BARS - 18 : BARS / 2 - 14;
    const [below, above] = [theme.signed[24], theme.signed[231]].map((colour) => `rgb(${channels(colour)})`);
    const holder = live.roles.find(({ does }) => does === "holds") ?? live.roles.at(-1);
    betweenGutters(paint, view, y, BARS, () => {
      for (let t = view.from; t < Math.min(view.to, time + 1); t++) {
        const size = ((now[t] || 0) / reach) * room, left = x(view, t);
        paint.fillStyle = whole ? holder[theme.mode] : size < 0 ? below : above;
        paint.fillRect(left, Math.min(zero, zero - size), barWidth(view), Math.max(1, Math.abs(size)));
        if (view.column < 30) continue;
        const middle = size < 0 ? zero - size + 7 : zero - size - 7;
        write(paint, theme, whole ? number(now[t]) : signed(now[t]), left + view.column / 2, middle, { size: 10, align: "center", room: view.column - 2 });
      }
      paint.fillStyle = theme.line;
      paint.fillRect(view.left, zero, view.end - view.left, 1);
    });
    const style = { size: 13, weight: 700, room: view.gutter - 16 };
    write(paint, theme, view.narrow ? "wrote" : "what each wrote,", view.gutter - 12, y + BARS / 2 - 9, style);
    if (!view.narrow) write(paint, theme, "as it is left now", view.gutter - 12, y + BARS / 2 + 9, { ...style, size: 12, weight: "", alpha: 0.7 });
    write(paint, theme, `${whole ? "0 … " : "±"}${number(reach, reach < 1 ? 2 : 0)}`, view.end + 8, zero, { size: 10, align: "left", alpha: 0.65, room: RIGHT - 10 });
  }

  say() {
    const { memory, whole, now, words, seen: { at: { time, unit } } } = this, { size, held } = memory, after = called(words, time);
    const part = (text) => make("b", "", text);
    if (whole) {
      let sum = 0;
      for (let k = time * size; k < (time + 1) * size; k++) sum += held[k] ** 2;
      return this.sum.replaceChildren("All units together hold ", part(number(Math.sqrt(sum))), ` after ${after} (a norm, as each bar; of one unit the bars add up).`);
    }
    const sum = [now.reduce((a, b) => a + b, 0), memory.begun(time, unit), held[time * size + unit]], places = digitsFor(sum);
    const [bars, start, holds] = sum.map((value) => part(number(value, places)));
    this.sum.replaceChildren("Σ of the bars ", bars, " + what was there at the start ", start, " = ", holds, `, what unit ${unit} holds after ${after}.`);
  }

  // ---- the map: a row a time, a column a token ----------------------------------------------------------------------

  map(reach) {
    const { whole, kept: { rows: known }, memory: { count }, words, theme, seen: { at } } = this, dpr = window.devicePixelRatio || 1;
    const panel = { codes: new Uint16Array(count * count), size: count, signed: !whole, low: whole ? 0 : -reach, high: reach, limit: reach };
    const times = Array.from({ length: count }, (_, t) => t), laid = rows(count, Math.min(MAP, count * ROW), 1, dpr);
    const place = (y) => ({ panel, units: times, y, first: 0, ...laid });
    const code = (value) => Math.round(Math.max(0, Math.min(1, whole ? value / reach : (1 + value / reach) / 2)) * LEVELS);
    const draw = (paint, view, y) => {
      for (let writer = view.from; writer < view.to; writer++)
        for (let time = 0; time < count; time++)
          panel.codes[writer * count + time] = time < writer || !known[time] ? NAN : code(known[time][writer]);
      drawField(paint, view, place(y), theme);
      frameRow(paint, view, place(y), theme, at.time);
      drawScale(paint, theme, panel, view.end, y, laid.height);
      if (laid.height < 40) return;
      const style = { size: 13, weight: 700, room: view.gutter - 16 };
      write(paint, theme, view.narrow ? "left ↓" : "what is left of it,", view.gutter - 12, y + 12, style);
      if (!view.narrow) write(paint, theme, `a line each ${words.column} ↓`, view.gutter - 12, y + 30, { ...style, size: 12, weight: "", alpha: 0.7 });
    };
    const timeOf = (down) => lineAt({ ...place(0), y: 0 }, down, dpr).units[0] ?? count - 1;
    const tell = (writer, down) => this.told(writer, timeOf(down), known[timeOf(down)]?.[writer]);
    return { height: laid.height, draw, tell, pick: (_, down) => ({ time: timeOf(down) }) };
  }

  // ---- half-lives: units from the shortest to the longest -------------------------------------------------------------

  drawLives() {
    const { memory, theme, seen: { at, live } } = this, width = this.all.clientWidth, dpr = window.devicePixelRatio || 1;
    if (!memory || !width || this.all.hidden) return;
    const lives = memory.halfLives(), units = [...lives.keys()].sort((a, b) => lives[a] - lives[b] || a - b);
    const view = (this.livesView = { width, height: LIVES, dpr, units, lives, left: 44, right: width - 8 });
    const [top, low] = [12, LIVES - 14], [least, most] = [Math.log10(0.1), 3], step = (view.right - view.left) / units.length;
    const y = (life) => (life === Infinity ? top : life < 0.1 ? low : low - 12 - ((Math.min(most, Math.log10(life)) - least) / (most - least)) * (low - top - 24));
    resize(this.lives, view);
    begin(this.paint, view, theme);
    if (missing(lives[0])) return void write(this.paint, theme, "One token is no time: nothing was forgotten yet.", 8, LIVES / 2, { size: 13, align: "left", alpha: 0.7 });
    const line = (life, label) => {
      this.paint.fillStyle = theme.line;
      this.paint.fillRect(view.left - 4, Math.round(y(life)), view.right - view.left + 4, 1);
      write(this.paint, theme, label, view.left - 10, y(life), { size: 11, alpha: 0.75 });
    };
    for (const [life, label] of [[Infinity, "∞"], [100, "100"], [10, "10"], [1, "1"], [0, "0"]]) line(life, label);
    const holder = live.roles.find(({ does }) => does === "keeps") ?? live.roles[0];
    units.forEach((unit, k) => {
      const chosen = unit === at.unit, px = view.left + (k + 0.5) * step, radius = chosen ? 6 : Math.max(1.5, Math.min(4, step / 2.5));
      Object.assign(this.paint, { fillStyle: chosen ? theme.primary : holder[theme.mode], globalAlpha: 1 });
      this.paint.beginPath();
      this.paint.arc(px, y(lives[unit]), radius, 0, 2 * Math.PI);
      this.paint.fill();
      if (!chosen) return;
      const left = px > width - 170, text = `unit ${unit}: ${tokens(lives[unit])}`;
      write(this.paint, theme, text, px + (left ? -11 : 11), Math.max(8, y(lives[unit]) - 9), { size: 12, weight: 700, align: left ? "right" : "left", colour: theme.primary });
    });
  }

  unitAt(px) {
    const { left, right, units } = this.livesView, k = Math.floor(((px - left) / (right - left)) * units.length);
    return units[Math.max(0, Math.min(units.length - 1, k))];
  }

  hover(event) {
    if (!this.livesView) return;
    const unit = this.unitAt(event.offsetX), box = this.all.getBoundingClientRect();
    this.tip.replaceChildren(make("b", "", `unit ${unit}`), make("span", "", `half-life ${tokens(this.livesView.lives[unit])}`));
    Object.assign(this.tip.style, { display: "block", left: `${Math.min(box.width - 150, event.clientX - box.left + 14)}px`, top: `${event.clientY - box.top - 54}px` });
  }
}

const tokens = (life) => (missing(life) ? "–" : life === Infinity ? "∞, it keeps all" : life === 0 ? "0, it was erased" : `${number(life, life < 10 ? 1 : 0)} tokens`);

// How many digits it takes for two numbers to add up to the third as they are written.
function digitsFor([a, b, sum]) {
  const adds = (places) => Math.abs(Number(a.toFixed(places)) + Number(b.toFixed(places)) - Number(sum.toFixed(places))) < 0.5 * 10 ** -places;
  return [2, 3, 4, 5, 6].find(adds) ?? 2;
}
