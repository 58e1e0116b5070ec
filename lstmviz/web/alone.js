// A page that stands alone: what the app does with a server and with Streamlit, this does by itself. See lstmviz/page.py.

import { button, make } from "./dom.js";
import { Address, choice, lights, menu, shadow, slider, switches } from "./controls.js";
import { drawn, lastChanged, linked } from "./drawn.js";
import { GateMap } from "./map.js";
import { notesOn } from "./notes.js";
import { bytesOf, numbersOf, unpacked } from "./packed.js";
import { Pictures } from "./pictures.js";
import { Opened, Reading } from "./reading.js";
import readout from "./readout.js";
import { written } from "./writing.js";

const FRAME = 12; // milliseconds of a frame in which is read; of a longer text the rest is read in the next
const MOST = 32; // units that are all shown
const ORDERS = ["similar", "index", "active"];

const nextFrame = () => new Promise((then) => setTimeout(then)); // also where nobody looks at the page

// One model, and all that reads a text or an image with it.
class Watching {
  constructor(place, { live, buttons, tests }, weights, address) {
    const opened = new Opened(live, weights);
    Object.assign(this, { live, tests, address, opened, reading: new Reading(opened), roles: [...live.usual_roles] });
    this.told = (name, at) => { if (name === "selection") address.tell(linked(at, this.reading.count - 1)); };
    const at = (name) => Number(address.get(name) ?? NaN);
    this.at = { time: at("time"), unit: at("unit"), layer: 0 };
    this.layer = address.get("layer") ?? "1";
    this.units = address.get("units") ?? "telling";
    this.order = address.get("order") ?? ORDERS[0];
    const [map, numbers] = ["map", "readout"].map((name) => shadow(name));
    place.append(make("div", "bar", "", this.bar()), ...this.source(buttons), map.host, numbers.host);
    this.map = new GateMap(map);
    readout({ parentElement: numbers, setStateValue() {} });
  }

  // ---- what a person chooses -----------------------------------------------------------------------------------------

  bar() {
    const { live, address } = this, parts = [], again = (change) => (value) => { Object.assign(this, change(value)); this.draw(); };
    if (!live.side) parts.push(this.examples());
    const layers = Math.max(...live.tracks.map(({ layer }) => layer)) + 1;
    if (layers > 1) {
      const values = [...Array(layers).keys()].map((k) => `${k + 1}`).concat("all");
      parts.push(choice("layer", values, this.layer, again((layer) => { address.tell({ layer }); return { layer }; })));
    }
    if (live.size > MOST)
      parts.push(choice(`${live.size} units`, ["telling", "all"], this.units, again((units) => { address.tell({ units }); return { units }; })));
    parts.push(menu("panels", [
      switches(live.roles.map(({ role, label, meaning }) => ({ name: role, label, meaning })), this.roles, again((roles) => ({ roles }))),
      choice("order of the units", ORDERS, this.order, again((order) => { address.tell({ order }); return { order }; })),
    ]));
    if (!live.side && live.vocabulary.level !== "label") parts.push(this.writing());
    return parts;
  }

  examples() {
    const list = this.live.examples.map(({ text, look }) => make("div", "example", "", [
      button(text.replaceAll("\n", this.opened.reads.newlineSign), look, () => { list.close(); this.put(text); }), make("p", "", look)]));
    const element = menu("examples", list);
    list.close = () => { element.open = false; };
    return element;
  }

  writing() {
    const values = { temperature: 0.8, topK: 20, count: 40 };
    const set = (name) => (value) => { values[name] = value; };
    const begin = button("continue the sentence", "let the model write on", () => (this.stop ? this.stop() : this.write(values)));
    this.begin = begin;
    this.problem = make("p", "problem");
    this.problem.setAttribute("role", "status");
    return menu("continue", [
      make("p", "", "Let the model write on. What it writes joins the sentence and the map."),
      slider("temperature", "Low: only what is likely. High: surprising.", [0.1, 2, 0.1], values.temperature, set("temperature")),
      slider("top-k", "Draw among this many likeliest tokens.", [1, 50, 1], values.topK, set("topK")),
      slider("tokens", "How many are written.", [1, 200, 1], values.count, set("count")),
      begin, this.problem,
    ]);
  }

  source(buttons) { // where a text or an image comes from
    const { live, opened } = this;
    if (live.side) {
      const place = shadow("pictures");
      this.pictures = new Pictures(place);
      return [place.host];
    }
    const sign = live.vocabulary.level === "label" ? "" : `; ${opened.reads.newlineSign} stands for a new line`;
    const box = this.box = Object.assign(make("input", ""), { type: "text", autocomplete: "off", spellcheck: false,
      placeholder: `Type the ${live.task.whole} to be read${sign}` });
    box.setAttribute("aria-label", live.task.whole);
    box.addEventListener("input", () => { this.stop?.(); this.typed(); });
    box.addEventListener("paste", (event) => { // a box of one line loses the line ends
      const text = event.clipboardData?.getData("text/plain") ?? "";
      if (!/[\r\n]/.test(text)) return;
      event.preventDefault();
      document.execCommand("insertText", false, text.replace(/\r\n?|\n/g, opened.reads.newlineSign)); // which can be undone
    });
    const signs = buttons.map((sign) => button(sign, `append ${sign}`, () => this.put(opened.reads.joined(box.value, sign))));
    return [make("div", "st-key-text", "", [box]), ...(signs.length ? [make("div", "tokens", "", signs)] : [])];
  }

  // ---- reading -------------------------------------------------------------------------------------------------------

  begun() { // with what the address says
    if (this.pictures) {
      const drawing = this.address.get("drawn"), image = Number(this.address.get("image") ?? 0);
      return this.look(drawing ? { drawn: drawing } : { image: image < this.tests.thumbs.length ? image : 0 });
    }
    this.put(this.address.get("text") ?? this.live.examples[0].text);
  }

  put(text) { // as if it were typed
    this.box.value = text.replaceAll("\n", this.opened.reads.newlineSign);
    this.stop?.();
    this.typed();
  }

  typed() {
    this.address.tell({ text: this.box.value });
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.read());
  }

  read() { // all keys of a frame at once
    const before = [...this.reading.ids], text = this.box.value, first = !this.data;
    this.whole = this.reading.toText(text, performance.now() + FRAME);
    const { ids } = this.reading;
    if (!first && ids.length) this.at = { ...(this.map.selection.at ?? this.at), time: lastChanged(before, ids) };
    this.draw();
    if (!this.whole) this.frame = requestAnimationFrame(() => this.read());
  }

  look(picture) { // at a test image, or at what somebody draws
    const { tests, live } = this, { side } = live, size = side ** 2;
    this.greys ??= bytesOf(tests.greys);
    const drawing = picture.drawn && /^[0-9a-f]+$/.test(picture.drawn) && picture.drawn.length === size;
    const image = drawing ? null : picture.image ?? 0;
    const pixels = drawing ? Uint8Array.from(picture.drawn, (grey) => 17 * parseInt(grey, 16)) :
      this.greys.subarray(image * size, (image + 1) * size);
    this.shows = drawing ? null : tests.labels[image];
    const label = live.vocabulary.tokens.indexOf(this.shows);
    this.whole = this.reading.toImage(pixels, label < 0 ? null : label, Infinity);
    this.address.tell({ image: drawing || !image ? null : image, drawn: drawing ? picture.drawn : null });
    const code = [...pixels].map((grey) => Math.floor(grey / 17).toString(16)).join("");
    const shown = drawing ? { drawn: picture.drawn } : { image };
    this.pictures.show({ side, noun: tests.noun, labels: tests.labels, images: tests.thumbs, shown, pixels: code }, (_, asked) => this.look(asked));
    this.draw();
  }

  draw() {
    const { reading, map, live, layer } = this, notes = notesOn(reading, this.shows);
    this.data = null;
    if (reading.count) {
      const layers = live.tracks.flatMap((track, k) => (layer === "all" || track.layer === Number(layer) - 1 ? [k] : []));
      const order = this.units === "telling" && live.size > MOST ? "telling" : this.order;
      this.data = drawn(reading, { layers, roles: this.roles, order, selection: this.selected(layers), written: this.written });
    }
    map.show({ notes, height: 0 }, this.data, this.told);
  }

  selected(layers) { // the last key's token, and the unit that tells most, until somebody chooses another
    const last = this.reading.count - 1, { time, unit, layer } = { ...this.map.selection.at, ...this.at };
    this.at = null;
    const there = layers.includes(layer) ? layer : layers[0], within = (value, most) => Math.max(0, Math.min(value, most));
    return {
      time: Number.isInteger(time) ? within(time, last) : last,
      unit: Number.isInteger(unit) ? within(unit, this.live.size - 1) : this.live.telling_unit[there],
      layer: there,
    };
  }

  // ---- writing on ----------------------------------------------------------------------------------------------------

  async write({ temperature, topK, count }) {
    const { reading, box, begin } = this, from = reading.count;
    let going = true;
    this.stop = () => { going = false; };
    begin.textContent = "stop";
    this.problem.textContent = "";
    try {
      for (const text of written(reading, { count, temperature, topK, seed: Date.now() })) {
        box.value = text;
        this.written = [text, from];
        this.typed();
        while (going && !(this.whole && reading.text === text)) await nextFrame();
        if (!going) break;
      }
    } catch (error) {
      this.problem.textContent = `The sentence was not continued: ${error.message}.`;
    }
    this.stop = null;
    begin.textContent = "continue the sentence";
  }
}

// ---- the page ----------------------------------------------------------------------------------------------------------

const DAMAGED = "The weights in this file are not those that it was saved with: it was changed or cut short. Take a fresh copy, or " +
  "make it again with python -m lstmviz live.";

async function begin() {
  const main = document.querySelector("main"), texts = [...document.querySelectorAll(".packed")].map((each) => each.textContent);
  const [header, ...weights] = await Promise.all(texts.map(unpacked)).catch(() => [null]);
  if (header === null) return void main.replaceChildren(make("p", "problem", DAMAGED));
  const { models: [{ live }], ...page } = JSON.parse(new TextDecoder().decode(header));
  main.replaceChildren(); // a page that was saved while it ran has all in it
  const shown = new Watching(main, { live, ...page }, numbersOf(weights[0]), new Address());
  shown.begun();
  document.querySelector("header").append(lights(() => shown.draw()));
}
if (!document.documentElement.dataset.lacks) begin();
