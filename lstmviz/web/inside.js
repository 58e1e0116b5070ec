// What happens inside one step: the sentence and the units of a layer, to choose a token and a unit, and below them one part of
// it. The model answers in the page: see here.js. A part is a class in inside/, made when it is first asked for:
//
//   new Part(place, host)   place: an element of its own; host: { select({ time, unit, layer }), option(name, value), theme() },
//                           which select what is named, and let the link and the page remember a value, or forget it (null)
//   .show(seen)             seen: { reading, trace, live, model, at: { time, unit, layer }, theme, options }; called for every
//                           key, selection, theme and option, of which it shows all that it can in a few milliseconds
//   .rest()                 it is no longer shown: what it still had to work out is left, where it is one that goes on after that

import { tell } from "./address.js";
import { button, make, noteLines, placeTip, writeNotes } from "./dom.js";
import { linked } from "./drawn.js";
import { follow } from "./follow.js";
import { Here } from "./here.js";
import { HoldSection } from "./inside/hold.js";
import { InputSection } from "./inside/input.js";
import { MemorySection } from "./inside/memory.js";
import { SandboxSection } from "./inside/sandbox.js";
import { wordsOf } from "./inside/sheet.js";
import { StepSection } from "./inside/step.js";
import { drawSentence, drawUnits, sentenceView, timeIn, unitIn, unitsView } from "./inside/strips.js";
import { applied, fromLink } from "./interventions.js";
import { refused } from "./needs.js";
import { notesOn } from "./notes.js";
import { readTheme, resize } from "./paint/pen.js";
import { linkButton } from "./present.js";
import { Selection, step } from "./select.js";
import { painted, unpainted } from "./shared.js";
import { whenGone, whileHere } from "./streamlit.js";
import { clamp, revealed, scrolledIn, scrolledTo, scrolls } from "./view.js";
import { called, number } from "./words.js";

// As the server calls them.
const PARTS = { step: StepSection, input: InputSection, memory: MemorySection, hold: HoldSection, sandbox: SandboxSection };
const EACH = 700; // milliseconds a token is shown while the sentence is played

export class Inside {
  constructor(root) {
    this.address = whileHere()(tell);
    this.selection = new Selection(() => {}); // {time, unit, layer}
    this.options = null; // name -> value of what the parts remember, null where they do not
    this.parts = new Map(); // name -> {place, part}
    this.host = { select: (to) => this.select(to), option: (name, value) => this.remember(name, value), theme: () => this.theme };
    this.box = root.appendChild(make("div", "map inside"));
    this.box.inside = this; // for tests, and for the curious
    this.notes = noteLines();
    this.note = make("span", "note");
    this.layers = make("span", "layers group");
    this.back = button("←", "the token before (left arrow)", () => this.walk(-1));
    this.on = button("→", "the next token (right arrow)", () => this.walk(1));
    this.player = button("play", "walk through the sentence, token by token", () => (this.playing ? this.pause() : this.play()));
    this.player.className = "player";
    this.link = linkButton();
    this.stop = button("stop", "", () => {}); // for here.js: nothing is written here
    this.stop.hidden = true;
    this.tokens = make("canvas", "tokens");
    this.units = make("canvas", "units");
    this.paints = [this.tokens, this.units].map((canvas) => canvas.getContext("2d", { alpha: false }));
    this.spacer = make("div", "spacer");
    this.scroll = make("div", "scroll", "", [make("div", "stage", "", [this.tokens]), this.spacer]);
    this.strips = make("div", "strips", "", [this.scroll, this.units]);
    this.strips.tabIndex = 0;
    this.strips.setAttribute("role", "application");
    this.strips.setAttribute("aria-label", "The sentence and its units. Left and right choose a token, up and down a unit.");
    this.shown = make("div", "parts");
    this.tip = make("div", "tip");
    this.spoken = make("div", "spoken");
    this.spoken.setAttribute("aria-live", "polite");
    const bar = make("div", "bar", "", [this.note, this.layers, make("span", "group", "", [this.back, this.player, this.on]), this.link]);
    this.box.append(this.notes, bar, this.strips, this.shown, this.tip, this.spoken);
    this.listen();
  }

  // The server has nothing for this page to make, and says why.
  receive(frame) {
    this.address(frame.address);
    this.show(frame, null);
  }

  // What is said over it, then what was read: a Reading, null where that is nothing. `here` says which part is shown.
  show({ notes, here }, reading) {
    writeNotes(this.notes, notes);
    this.box.classList.toggle("empty", !reading);
    this.reading = reading;
    if (!reading) {
      this.pause();
      this.rest();
      return painted(0, 0);
    }
    this.options ??= { ...here.options };
    this.name = here.section;
    this.theme = readTheme(this.box);
    const { live } = reading.opened, { time, unit, layer } = this.selection.at, last = reading.count - 1;
    this.selection.keep({ time: time < 0 ? last : Math.min(time, last), unit: clamp(unit, 0, live.size - 1), layer: clamp(layer, 0, live.tracks.length - 1) });
    this.words = wordsOf(reading);
    this.chooseLayers(live);
    const start = performance.now();
    this.arrange();
    painted(reading.count, performance.now() - start);
  }

  chooseLayers({ tracks }) {
    const { layer } = this.selection.at, key = `${tracks.length} ${layer}`;
    if (this.layers.key === key) return;
    this.layers.key = key;
    this.layers.replaceChildren(...(tracks.length < 2 ? [] : tracks.map(({ label }, k) => {
      const element = button(label || `layer ${k + 1}`, `the units of layer ${k + 1}`, () => this.select({ layer: k }));
      element.setAttribute("aria-pressed", k === layer);
      return element;
    })));
  }

  // Draw all anew: what is held at every token by the selected unit, and now by every unit, and the part below.
  arrange() {
    const { reading, theme, words, selection: { at } } = this, { live } = reading.opened, dpr = window.devicePixelRatio || 1;
    this.width ||= this.scroll.clientWidth;
    const held = reading.trace.held(at.layer), { size } = live, reach = reachOf(live, at.layer, held);
    this.held = { values: held, size };
    this.view = sentenceView(this.paints[0], theme, words, this.width, dpr);
    this.spacer.style.width = `${this.view.whole}px`;
    const { length } = words.labels;
    if (scrolls(this.view, length)) this.scroll.scrollLeft = revealed(this.view, at.time, this.scroll.scrollLeft);
    this.redraw();
    this.grid = unitsView(size, this.width, dpr);
    resize(this.units, this.grid);
    drawUnits(this.paints[1], this.grid, held.subarray(at.time * size, (at.time + 1) * size), reach, at.unit, theme);
    this.describe();
    this.showPart();
  }

  redraw() {
    const { theme, words, held: { values, size }, selection: { at } } = this, { length } = words.labels;
    const valueAt = (t) => values[t * size + at.unit], reach = words.labels.reduce((most, _, t) => Math.max(most, Math.abs(valueAt(t)) || 0), 1e-6);
    this.view = scrolledTo(this.view, length, scrolledIn(this.scroll, this.view, length));
    resize(this.tokens, this.view);
    if (this.view.right > this.view.left) drawSentence(this.paints[0], this.view, words, valueAt, reach, at.time, theme); // as on Watch: of this unit alone
  }

  describe() {
    const { words, held: { values, size }, selection: { at: { time, unit } } } = this, last = words.labels.length - 1;
    const said = `${called(words, time)} · unit ${unit} of ${size} holds ${number(values[time * size + unit])}`;
    this.note.textContent = said + (this.forced() ? " · as the model is, without “what if”" : "");
    this.back.disabled = time <= 0;
    this.on.disabled = time >= last;
    this.player.disabled = last < 1;
    clearTimeout(this.speech);
    this.speech = setTimeout(() => { this.spoken.textContent = said; }, 300);
  }

  // Whether what is held in “what if” would change what is shown of another part, if it counted there.
  forced() {
    const { name, reading, options } = this;
    return name !== "hold" && Boolean(options.hold) && applied(fromLink(options.hold)[0], reading.opened, reading.count).length > 0;
  }

  // The part that was asked for, made where it is the first time; of the others each keeps what it was.
  showPart() {
    const { name, reading, theme, options, selection: { at } } = this, { opened, trace } = reading;
    for (const [other, { place }] of this.parts) place.hidden = other !== name;
    this.rest(name);
    if (!(name in PARTS)) return;
    const seen = { reading, trace, live: opened.live, model: opened.model, at: { ...at }, theme, options: { ...options } };
    if (!this.parts.get(name)?.part) { // of one that failed nothing is kept
      this.parts.get(name)?.place.remove();
      this.parts.set(name, { place: this.shown.appendChild(make("div", `part ${name}`)), part: null });
    }
    const made = this.parts.get(name);
    try {
      made.part ??= new PARTS[name](made.place, this.host);
      made.part.show(seen);
    } catch (error) { // one part must not take the page with it
      console.error(error);
      made.part = null;
      made.place.replaceChildren(make("p", "wrong", `This part cannot be shown: ${error.message}.`));
    }
  }

  // All parts but one.
  rest(shown = null) {
    for (const [name, { part }] of this.parts) if (name !== shown) part?.rest?.();
  }

  // ---- what a person does ------------------------------------------------------------------------------------------

  listen() {
    const { tokens, units, scroll, strips } = this;
    this.unfollow = follow(this);
    scroll.addEventListener("scroll", () => { if (this.reading && scroll.scrollLeft !== this.view.scrolled) this.redraw(); });
    tokens.addEventListener("click", ({ offsetX, offsetY }) => this.choose({ time: timeIn(this.view, this.words, offsetX, offsetY) }));
    units.addEventListener("click", ({ offsetX, offsetY }) => this.choose({ unit: unitIn(this.grid, offsetX, offsetY) }));
    for (const canvas of [tokens, units]) {
      canvas.addEventListener("pointermove", (event) => this.hover(event, canvas));
      canvas.addEventListener("pointerleave", () => { this.tip.style.display = "none"; });
    }
    strips.addEventListener("keydown", (event) => {
      if (!this.reading || event.ctrlKey || event.metaKey || event.altKey) return;
      const { at } = this.selection, { size } = this.held, all = Array.from({ length: size }, (_, k) => k);
      const next = step(event.key, at, this.words.labels.length - 1, all);
      if (!next) return;
      event.preventDefault();
      this.choose(next);
    });
  }

  hover({ offsetX, offsetY, clientX, clientY }, canvas) {
    const { words, held: { values, size }, selection: { at } } = this, lines = [];
    if (canvas === this.tokens) {
      const time = timeIn(this.view, words, offsetX, offsetY);
      if (time !== null) lines.push(make("b", "", called(words, time)), make("span", "", `unit ${at.unit} holds ${number(values[time * size + at.unit], 3)}`));
    } else {
      const unit = unitIn(this.grid, offsetX, offsetY);
      if (unit !== null) lines.push(make("b", "", `unit ${unit}`), make("span", "", `holds ${number(values[at.time * size + unit], 3)}`));
    }
    this.tip.replaceChildren(...lines);
    this.tip.style.display = lines.length ? "block" : "none";
    if (lines.length) placeTip(this.tip, this.box, { clientX, clientY });
  }

  choose(to) { // a person does; null is nothing
    const [value] = Object.values(to);
    if (value === null) return;
    this.pause();
    this.select(to);
  }

  select(to) { // what is not named stays
    const { time, unit, layer } = { ...this.selection.at, ...to };
    this.selection.keep({ time, unit, layer });
    this.selection.wanted = null;
    this.chooseLayers(this.reading.opened.live);
    this.arrange();
    if (!this.playing) this.onchosen(); // the link and the server hear of it once all rests
  }

  remember(name, value) {
    this.options[name] = value;
    this.showPart();
    this.onchosen();
  }

  walk(by) { this.choose({ time: clamp(this.selection.at.time + by, 0, this.words.labels.length - 1) }); }

  play() {
    const last = () => this.words.labels.length - 1;
    const on = () => {
      const { time } = this.selection.at;
      if (!this.reading || time >= last()) return this.pause();
      this.select({ time: time + 1 });
      this.playing = setTimeout(on, EACH);
    };
    this.playing = setTimeout(on, EACH);
    if (this.selection.at.time >= last()) this.select({ time: 0 });
    this.player.textContent = "stop";
  }

  pause() {
    if (!this.playing) return;
    clearTimeout(this.playing);
    this.playing = null;
    this.player.textContent = "play";
    if (this.reading) this.onchosen();
  }

  end() {
    clearTimeout(this.playing);
    this.rest();
    this.unfollow();
  }
}

// The ends of the colours of what is held: those of the state that holds it, or, where it is worked out, of all that was held.
function reachOf(live, layer, held) {
  const role = Object.keys(live.symbols).find((each) => live.symbols[each] === live.does.holds);
  if (role) return live.scales[layer][role][1];
  return held.reduce((most, value) => Math.max(most, Math.abs(value) || 0), 1e-6);
}

class InsideHere extends Here {
  constructor(inside) {
    super(inside);
    inside.onchosen = () => this.later();
    this.over.signal.addEventListener("abort", () => inside.end());
  }

  draw() {
    const { map, view, readings: [reading], frame } = this, said = view.box ? notesOn(reading) : [];
    map.show({ ...frame, notes: [...frame.notes, ...said.filter(([kind]) => kind !== "look")] }, reading.count ? reading : null);
  }

  linked(at, last) {
    const { map: { options }, readings: [{ opened: { live } }] } = this;
    return { ...linked(at, last), layer: live.tracks.length > 1 ? `${at.layer + 1}` : null, ...options };
  }

  rested() {
    super.rested();
    const { map: { options } } = this, now = JSON.stringify(options);
    if (now === (this.remembered ?? JSON.stringify(this.view.options))) return;
    this.remembered = now;
    this.send("options", options);
  }
}

const hosts = new WeakMap(); // one a mount

export default function inside({ parentElement, data, setStateValue }) {
  if (refused(parentElement)) return;
  if (!hosts.has(parentElement)) hosts.set(parentElement, new InsideHere(new Inside(parentElement)));
  if (data) hosts.get(parentElement).receive(data, setStateValue);
  return whenGone(parentElement, () => {
    hosts.get(parentElement)?.end();
    hosts.delete(parentElement);
    unpainted();
  });
}
