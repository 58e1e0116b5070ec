// Models that answer in the page: they hear every key in the sentence box, and every stroke of a drawing, and what they make of
// it is drawn at once. The server says which they are and how they are shown, and hears of the text once the keys rest.

import { CHECKED_MOST, LEVELS } from "./constants.js";
import { drawn, lastChanged, linked } from "./drawn.js";
import { lackingToAnswer } from "./needs.js";
import { notesOn } from "./notes.js";
import { readTheme } from "./paint/pen.js";
import { Opened, Reading } from "./reading.js";
import { heldModels, whenDrawing } from "./shared.js";
import { loading, teller } from "./streamlit.js";
import { decode, headed, valueOf } from "./wire.js";
import { missing } from "./words.js";
import { writing } from "./writing.js";

const SLICE = 12; // milliseconds of a frame in which a long text is read on
const READS = 4; // times as long as its picture takes to be drawn, before that is drawn again
const REST = 300; // without a key, after which the address says what is selected, and the server is asked to check
const FAR = 1e-4; // of the ends of the colours: what the page and the server may differ by
const KEPT = 12; // models
const SINCE_MOST = 500; // texts that were typed and the server may still repeat: it hears of one a rest

// Keep the models that came with a message: of each its header, and its weights after their length. Returns where they end, and
// by its digest why one cannot run here. The same message may come again, as with another theme.
export function keepModels({ models, sent }, bytes) {
  const held = heldModels(), problems = {}, sizes = new DataView(bytes.buffer, bytes.byteOffset);
  let end = 0;
  for (const digest of models.filter((each) => held.has(each))) { // those in use are the last to go
    const opened = held.get(digest);
    held.delete(digest);
    held.set(digest, opened);
  }
  for (const digest of sent) {
    const [live, at] = headed(bytes, end), begin = at + 4;
    end = begin + sizes.getUint32(at, true);
    if (held.has(digest)) continue;
    try {
      held.set(digest, new Opened(live, new Float32Array(bytes.slice(begin, end).buffer))); // a copy, which is aligned
    } catch ({ message }) { // as where weights are no finite numbers
      problems[digest] = message;
    }
  }
  for (const oldest of [...held.keys()].slice(0, -KEPT)) held.delete(oldest);
  return [end, problems];
}

// What a person typed, or the page wrote: the last of key and server wins. What the server says is new if it has put it into the
// box itself, which it counts; else only if it is neither what it said before nor what was typed here, which it may repeat late.
export class Typed {
  constructor() { this.since = []; this.told = this.text = this.put = null; }
  type(text) { this.since = [...this.since.slice(1 - SINCE_MOST), (this.text = text)]; }
  hear(text, put) {
    const echo = put === this.put ? this.since.lastIndexOf(text) : -1;
    if (echo >= 0) this.since.splice(0, echo);
    else if (text !== this.told || put !== this.put) Object.assign(this, { text, since: [] }); // which may well be one that was typed before
    Object.assign(this, { told: text, put });
  }
}

// As if it had been typed: React hears of what is set past its own setter.
export function setBox(box, text) {
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(box, text);
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

// How far two maps of one text are apart, in shares of the ends of their colours, beyond the step in which values travel; losses
// in nats.
function apart(one, other) {
  let most = 0;
  const see = (a, b, end, step) => {
    if (missing(a) !== missing(b)) most = Infinity;
    else if (!missing(a)) most = Math.max(most, (Math.abs(a - b) - step) / end);
  };
  one.panels.forEach((panel, k) => panel.codes.forEach((_, at) => {
    const unit = at % panel.size, time = (at - unit) / panel.size, step = (panel.high - panel.low) / LEVELS;
    see(valueOf(panel, unit, time), valueOf(other.panels[k], unit, time), panel.limit, step);
  }));
  one.nll.forEach((nll, time) => see(nll, other.nll[time], 1, 1e-4));
  return most;
}

// Read on until the deadline, and say whether all is read. The pixels of an image are bytes, two hexadecimal digits each.
function readOn(reading, { box }, text, deadline = Infinity) {
  if (box) return reading.toText(text, deadline);
  const [pixels, label] = JSON.parse(text);
  return reading.toImage(Uint8Array.from(pixels.match(/../g), (byte) => parseInt(byte, 16)), label, deadline);
}

// How the page tells texts and images apart.
const given = ({ box, text, label }) => (box ? text : JSON.stringify([text, label]));

export class Here {
  constructor(map) {
    this.map = map;
    map.onstop = () => this.stop();
    this.teller = teller();
    this.lacks = lackingToAnswer();
    this.failed = []; // models for which the server answers
    this.over = new AbortController();
    const { signal } = this.over;
    document.addEventListener("input", ({ target }) => {
      if (this.view?.box && target.matches?.(`.st-key-${this.view.box} input`)) this.type(target.value);
    }, { capture: true, signal });
    signal.addEventListener("abort", whenDrawing((pixels) => {
      if (this.view && !this.view.box) this.type(JSON.stringify([pixels, null]));
    }));
    document.addEventListener("keydown", ({ key }) => { if (key === "Escape") this.stop(); }, { signal });
    this.view = null;
  }

  // A message of the server's: a frame, then a map, or what the page needs to make it.
  receive(bytes, setStateValue) {
    const send = this.teller(setStateValue), [frame, end] = headed(bytes), message = bytes.subarray(end);
    if (frame.here) return this.hear(frame, message, send);
    this.rest();
    this.map.receive(frame, message, send);
  }

  // The map leaves the page.
  end() {
    this.rest();
    this.over.abort();
    this.map.unfollow();
  }

  // The server answers from now on.
  rest() {
    this.quiet();
    cancelAnimationFrame(this.next);
    clearTimeout(this.resting);
    this.view = this.readings = this.shows = this.next = null;
  }

  // A message of the server: its frame, and what follows.
  hear(frame, bytes, send) {
    const { here } = frame, { models, box } = here, first = `${models}` !== `${this.view?.models}`;
    if (this.lacks) return this.fail(Object.fromEntries(models.map((digest) => [digest, `this browser lacks ${this.lacks}`])), send);
    const [at, problems] = keepModels(here, bytes);
    if (Object.keys(problems).length) return this.fail(problems, send);
    const lacked = models.filter((digest) => !heldModels().has(digest));
    if (lacked.length) return send("lacks", [lacked, performance.now()]);
    if (first) {
      this.quiet();
      const typed = this.view?.box === box ? this.typed : new Typed(); // keys that the server has not heard are read by the next model
      Object.assign(this, { typed, readings: this.begin(frame), asked: false, drew: false, written: null, problem: null });
      this.map.selection.forget();
    }
    Object.assign(this, { frame, view: here, send, written: this.written ?? here.written });
    this.typed.hear(given(here), here.put);
    if (this.writing && this.typed.text !== this.writing.text) this.stop(); // an example was chosen
    const { selection } = this.map, time = selection.at?.time;
    selection.learn(here.selection);
    if (selection.at.time !== time) selection.wanted = selection.at.time;
    this.map.address(frame.address);
    if (here.checked) this.check(bytes.subarray(at));
    const { sent, checked, write, text, ...shown } = here, shows = JSON.stringify([shown, { ...frame, here: null }, this.typed.text, readTheme(this.map.box)]);
    if (shows !== this.shows) this.show(); // else the server only heard what is shown already
    this.shows = shows;
    if (here.write && here.write.number > (this.wrote ?? Infinity)) this.write(here.write);
    this.wrote = here.write?.number ?? 0;
  }

  type(text) {
    if (text === this.typed.text) return;
    if (text !== this.writing?.text) this.stop(); // a person goes on by themselves
    this.typed.type(text);
    this.problem = null;
    if (this.next) Object.assign(this, { due: true, again: 0 });
    else this.show(); // before this key's frame, and not in it: there is time until then
    this.later();
  }

  later() {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.rested(), REST);
  }

  // Read on for a part of this frame, draw, and go on in the next. Of several keys in one frame the first is shown in it, and
  // the last in the next one; of a long text that is read on not every slice.
  show(draws = true) {
    cancelAnimationFrame(this.next);
    this.next = null;
    const { view, readings, typed: { text } } = this, slice = SLICE / readings.length;
    const done = readings.map((reading) => readOn(reading, view, text, performance.now() + slice)).every(Boolean);
    if (draws || done) this.showRead();
    this.due = !done;
    this.next = requestAnimationFrame(() => {
      this.next = null;
      if (this.due) this.show(performance.now() >= this.again);
    });
    this.later();
  }

  // Select, and draw, what has been read.
  showRead() {
    const { view, readings, tokens: before, map } = this, { selection } = map, start = performance.now();
    const { tokens, count } = Object.assign(this, this.columns()), last = tokens.length - 1;
    if (selection.at.time < 0) selection.wanted ??= last; // while nobody chose one
    if (selection.at.time >= count) selection.wanted ??= selection.at.time; // which is not read yet
    if (this.drew && view.box && before !== tokens) selection.wanted = lastChanged(before, tokens) ?? selection.wanted;
    if (selection.wanted !== null && (selection.wanted < 0 || selection.wanted > last)) selection.wanted = last;
    if (selection.wanted !== null && count > selection.wanted) { // what a key changed is selected, or what the server says, as soon as it is read
      selection.keep({ time: selection.wanted });
      selection.wanted = null;
    }
    const silent = readings.find((reading) => !reading.answers);
    if (silent) map.show({ ...this.frame, notes: [["warning", silent.opened.live.notes.no_answer]] }, null, this.send);
    else this.draw();
    this.drew = count > 0;
    this.again = performance.now() + READS * (performance.now() - start);
  }

  // The keys rest: the address says what is selected, the server hears of it, and it may look whether the page reckons right.
  rested() {
    const { map: { address, selection }, frame, view, count, readings } = this, { at } = selection;
    if (!this.drew || !at) return;
    const said = view.box ? { [view.box]: this.typed.text } : {}; // so that Back has it: without it Streamlit empties the box
    address({ ...frame.address, ...said, ...this.linked(at, count - 1) });
    if (loading()) return this.later();
    const untold = selection.untold(count - 1);
    if (untold) this.send("selection", untold);
    if (this.asked || !readings.every((reading) => reading.count < CHECKED_MOST)) return;
    this.asked = true;
    this.send("unchecked", view.models);
  }

  // What the server makes of a text against what the page makes of it. Where they differ the server answers from now on.
  check(bytes) {
    const { view, send, frame } = this, readings = this.begin(frame), problems = {};
    for (const reading of readings) readOn(reading, view, given(view));
    this.pairs(readings, bytes).forEach(([here, there], k) => {
      const far = apart(here, there);
      if (far > FAR) problems[view.models[k]] = `page and server differ by ${far}`;
    });
    if (Object.keys(problems).length) this.fail(problems, send);
    else send("checked", view.models);
  }

  // The server answers for these models from now on, by their digests; `problems` are why.
  fail(problems, send) {
    for (const [digest, why] of Object.entries(problems)) console.warn(`lstmviz: ${why}; the server answers for the model ${digest}`);
    this.failed = [...new Set([...this.failed, ...Object.keys(problems)])];
    send("failed", this.failed);
  }

  // ---- what one map has otherwise than several, for which see together.js ----------------------------------------------

  begin({ here }) { return here.models.map((digest) => new Reading(heldModels().get(digest))); }

  // By what two texts differ, and how many columns are read.
  columns() {
    const [{ pieces, count }] = this.readings; // as they were typed: words that the model does not know differ, too
    return { tokens: pieces, count };
  }

  draw() {
    const { map, view, readings: [reading], frame, written } = this, { layers, roles, order } = view;
    const notes = [...frame.notes, ...(view.box ? notesOn(reading) : []), ...(this.problem ? [this.problem] : [])];
    map.link.hidden = false;
    map.show({ ...frame, notes }, drawn(reading, { layers, roles, order, selection: map.selection.at, written }), this.send);
  }

  linked(at, last) { return linked(at, last); }

  // Of each model what the page makes of the text that the server has read, and what the server does.
  pairs([reading], bytes) {
    const there = decode(bytes, new Map());
    return [[drawn(reading, { ...this.view, selection: there.selection }), there]];
  }

  // ---- the model writes on -------------------------------------------------------------------------------------------

  write({ count, temperature, top_k: topK, seed }) {
    const { view, readings: [reading] } = this, texts = writing(reading, { count, temperature, topK, seed });
    const now = (this.writing = { text: this.typed.text });
    let from = null; // where the model begins
    const step = () => {
      const box = document.querySelector(`.st-key-${view.box} input`);
      if (this.writing !== now) return;
      if (reading.text !== now.text || reading.count < reading.ids.length) return void requestAnimationFrame(step); // not read yet
      from ??= reading.count;
      try {
        const { done, value } = texts.next();
        if (done || !box) return this.stop();
        now.text = value;
      } catch (error) {
        this.problem = ["warning", `The sentence was not continued: ${error.message}.`];
        this.stop();
        return this.show();
      }
      this.written = [now.text, from];
      setBox(box, now.text); // which is read before this goes on
      requestAnimationFrame(step);
    };
    this.map.stop.hidden = false;
    step();
  }

  stop() {
    if (this.quiet() && this.written) this.send("written", [...this.written, ...this.view.models]);
  }

  // It writes no more; whether it did.
  quiet() {
    const { writing } = this;
    this.writing = null;
    if (writing) this.map.stop.hidden = true;
    return Boolean(writing);
  }
}
