// A page that stands alone, with a model in it (see lstmviz/page.py): what the app does with controls of Streamlit's, and the
// server with what they say, is done here.

import { Address, choice, lights, menu, shadow, slider, switches } from "./controls.js";
import { button, make } from "./dom.js";
import { Here, setBox } from "./here.js";
import { GateMap } from "./map.js";
import { notesOn } from "./notes.js";
import { bytesOf, numbersOf, unpacked } from "./packed.js";
import { Pictures } from "./pictures.js";
import { Opened } from "./reading.js";
import readout from "./readout.js";
import { heldModels } from "./shared.js";

const MOST = 32; // units that are all shown
const ORDERS = ["similar", "index", "active"];
const BOX = "text"; // as the key of the box in the app

class Watching {
  constructor(place, { live, buttons, tests }, weights, address) {
    const opened = new Opened(live, weights);
    heldModels().set(live.digest, opened);
    Object.assign(this, { live, tests, address, opened });
    const said = { layer: "1", units: "telling", order: ORDERS[0], roles: live.usual_roles };
    this.chosen = { ...said, ...Object.fromEntries(["layer", "units", "order"].flatMap((name) => address.get(name) ? [[name, address.get(name)]] : [])) };
    const [map, numbers] = ["map", "readout"].map(shadow);
    place.append(make("div", "bar", "", this.bar()), ...this.source(buttons), map.host, numbers.host);
    this.here = new Here(new GateMap(map));
    this.here.map.tell = (said) => address.tell(said);
    readout({ parentElement: numbers, setStateValue() {} });
    this.begin();
  }

  // ---- what a person chooses -----------------------------------------------------------------------------------------

  bar() {
    const { live, chosen } = this, parts = live.side ? [] : [this.examples()];
    const choose = (name) => (value) => {
      chosen[name] = value;
      if (name !== "roles") this.address.tell({ [name]: value });
      this.show();
    };
    const layers = 1 + Math.max(...live.tracks.map(({ layer }) => layer)), numbers = Array.from({ length: layers }, (_, k) => `${k + 1}`);
    if (layers > 1) parts.push(choice("layer", [...numbers, "all"], chosen.layer, choose("layer")));
    if (live.size > MOST) parts.push(choice(`${live.size} units`, ["telling", "all"], chosen.units, choose("units")));
    parts.push(menu("panels", [
      switches(live.roles, chosen.roles, choose("roles")),
      choice("order of all units", ORDERS, chosen.order, choose("order")),
    ]));
    return this.opened.asked ? parts : [...parts, this.writing()];
  }

  examples() {
    const element = menu("examples", this.live.examples.map(({ text, look }) => {
      const choose = () => { element.open = false; this.put(text); };
      return make("div", "example", "", [button(this.inBox(text), look, choose), make("p", "", look)]);
    }));
    return element;
  }

  writing() {
    const values = { temperature: 0.8, top_k: 20, count: 40 }, set = (name) => (value) => { values[name] = value; };
    const element = menu("continue", [
      make("p", "", "Let the model write on. What it writes joins the sentence and the map."),
      slider("temperature", "Low: only what is likely. High: surprising.", [0.1, 2, 0.1], values.temperature, set("temperature")),
      slider("top-k", "Draw among this many likeliest tokens.", [1, 50, 1], values.top_k, set("top_k")),
      slider("tokens", "How many it writes.", [1, 200, 1], values.count, set("count")),
      button("continue the sentence", "let the model write on", () => {
        element.open = false;
        this.here.write({ ...values, seed: Date.now() });
      }),
    ]);
    return element;
  }

  // ---- what is read --------------------------------------------------------------------------------------------------

  source(buttons) { // where that comes from
    const { live, opened } = this;
    if (live.side) {
      const place = shadow("pictures");
      this.pictures = new Pictures(place);
      return [place.host];
    }
    const newline = opened.asked ? "" : `; ${opened.reads.newlineSign} stands for a new line`;
    const placeholder = `Type the ${live.task.whole} to be read${newline}`;
    const box = this.box = Object.assign(make("input", ""), { type: "text", autocomplete: "off", spellcheck: false, placeholder });
    box.setAttribute("aria-label", live.task.whole);
    box.addEventListener("input", () => this.address.tell({ text: box.value }));
    box.addEventListener("paste", (event) => { // a box of one line loses the line ends
      const text = event.clipboardData?.getData("text/plain") ?? "";
      if (!/[\r\n]/.test(text)) return;
      event.preventDefault();
      document.execCommand("insertText", false, this.inBox(text)); // which can be undone
    });
    const signs = buttons.map((sign) => button(sign, `append ${sign}`, () => this.put(opened.reads.joined(box.value, sign))));
    return [make("div", `st-key-${BOX}`, "", [box]), ...(signs.length ? [make("div", "tokens", "", signs)] : [])];
  }

  inBox(text) { return text.replace(/\r\n?|\n/g, this.opened.reads.newlineSign); }

  put(text) {
    const { box } = this;
    setBox(box, this.inBox(text));
    box.setSelectionRange(box.value.length, box.value.length); // there a key goes on
  }

  begin() { // with what the address says
    const { address, live, tests } = this, drawn = address.get("drawn"), image = Number(address.get("image"));
    if (this.box) this.box.value = address.get("text") ?? this.inBox(live.examples[0].text);
    else if (drawn && new RegExp(`^[0-9a-f]{${live.side ** 2}}$`).test(drawn)) this.picture = { drawn };
    else this.picture = { image: image in tests.thumbs ? image : 0 };
    const number = (name, otherwise) => (/^\d+$/.test(address.get(name)) ? Number(address.get(name)) : otherwise);
    this.selected = { time: number("time", -1), unit: Math.min(number("unit", live.telling_unit[0]), live.size - 1) };
    this.show();
  }

  image() { // its pixels, two hexadecimal digits each, and the number of what it shows
    const { tests, live, picture: { drawn, image } } = this, size = live.side ** 2;
    if (drawn) return { text: drawn.replace(/./g, "$&$&"), shows: null, label: null };
    this.greys ??= bytesOf(tests.greys);
    const greys = this.greys.subarray(image * size, (image + 1) * size), label = live.vocabulary.tokens.indexOf(tests.labels[image]);
    const text = Array.from(greys, (grey) => grey.toString(16).padStart(2, "0")).join("");
    return { text, shows: tests.labels[image], label: label < 0 ? null : label };
  }

  look() { // the place to draw, and the test images
    const { tests, live, picture } = this, { text, shows, label } = this.image(), { drawn = null, image = null } = picture;
    this.address.tell({ drawn, image: image || null });
    const pixels = text.replace(/(.)./g, "$1"), { thumbs: images, ...other } = tests;
    this.pictures.show({ ...other, images, shown: picture, pixels }, (_, chosen) => { this.picture = chosen; this.show(); });
    const notes = notesOn({ opened: this.opened }, shows);
    return { notes, text, label };
  }

  show() { // what the server says in the app
    const { live, here, box, chosen, selected } = this, { notes, text, label } = box ? { notes: [], text: box.value, label: null } : this.look();
    const every = live.tracks.map((_, k) => k), layers = every.filter((k) => chosen.layer === "all" || live.tracks[k].layer === chosen.layer - 1);
    const order = chosen.units === "telling" && live.size > MOST ? "telling" : chosen.order, { roles } = chosen;
    const view = { model: live.digest, box: box ? BOX : "", text, label, layers, roles, order, selection: { ...selected, layer: layers[0] } };
    const send = (what) => { if (what === "selection") here.later(); };
    here.hear({ notes, height: 0, address: {}, here: { ...view, sent: false, written: null, write: null, checked: false } }, new Uint8Array(), send);
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
  document.querySelector("header").append(lights(() => shown.show()));
}
if (!document.documentElement.dataset.lacks) begin();
