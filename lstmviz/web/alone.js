// A page that stands alone, with models in it (see lstmviz/page.py): what the app does with controls of Streamlit's, and the
// server with what they say, is done here. alone-watch.js is of one model, alone-compare.js of several side by side.

import { Address, lights, menu, shadow } from "./controls.js";
import { button, make } from "./dom.js";
import { setBox } from "./here.js";
import { notesOn } from "./notes.js";
import { bytesOf, DAMAGED, numbersOf, unpacked } from "./packed.js";
import { Pictures } from "./pictures.js";
import { Opened } from "./reading.js";
import { heldModels } from "./shared.js";

const BOX = "text"; // as the key of the box in the app
const NOTHING = new Uint8Array(); // no message follows: all models are here
const NUMBER = /^\d+$/;

export class Alone {
  constructor(place, page, models) {
    const [opened] = models, address = new Address();
    Object.assign(this, { place, page, models, opened, address, live: opened.live, chosen: {} });
  }

  // What the address says, else what is usual; of one of the values where there are only some.
  said(name, usual, values) {
    const found = this.address.get(name);
    return (this.chosen[name] = found === null || (values && !values.includes(found)) ? usual : found);
  }

  // What a control does that chooses a value of that name: the address tells it, but for a list.
  chooses(name) {
    return (value) => {
      this.chosen[name] = value;
      if (!Array.isArray(value)) this.address.tell({ [name]: value });
      this.show();
    };
  }

  examples() {
    const element = menu("examples", this.live.examples.map(({ text, look }) => {
      const choose = () => { element.open = false; this.put(text); };
      return make("div", "example", "", [button(this.inBox(text), look, choose), make("p", "", look)]);
    }));
    return element;
  }

  // ---- what is read --------------------------------------------------------------------------------------------------

  source() { // where that comes from
    const { live, opened, page: { buttons } } = this;
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
    const { address, live, page: { tests } } = this, drawn = address.get("drawn"), image = Number(address.get("image"));
    if (this.box) this.box.value = address.get("text") ?? this.inBox(live.examples[0].text);
    else if (drawn && new RegExp(`^[0-9a-f]{${live.side ** 2}}$`).test(drawn)) this.picture = { drawn };
    else this.picture = { image: image in tests.thumbs ? image : 0 };
    const number = (name, usual) => (NUMBER.test(address.get(name)) ? Number(address.get(name)) : usual);
    this.selected = { time: number("time", -1), unit: Math.min(number("unit", live.telling_unit[0]), live.size - 1) };
    this.show();
  }

  // Of the image that is looked at the pixels, two hexadecimal digits each, and what it shows.
  image() {
    const { page: { tests }, live, picture: { drawn, image } } = this, size = live.side ** 2;
    if (drawn) return { text: drawn.replace(/./g, "$&$&"), shows: null, label: null };
    this.greys ??= bytesOf(tests.greys);
    const greys = this.greys.subarray(image * size, (image + 1) * size), label = live.vocabulary.tokens.indexOf(tests.labels[image]);
    const text = Array.from(greys, (grey) => grey.toString(16).padStart(2, "0")).join("");
    return { text, shows: tests.labels[image], label: label < 0 ? null : label };
  }

  // A text, or an image, for which the place to draw and the test images are shown.
  read() {
    const { page: { tests }, box, picture, pictures, address } = this;
    if (box) return { notes: [], text: box.value, label: null };
    const { text, shows, label } = this.image(), { drawn = null, image = null } = picture, { thumbs: images, ...other } = tests;
    address.tell({ drawn, image: image || null });
    const pixels = text.replace(/(.)./g, "$1"), choose = (_, chosen) => { this.picture = chosen; this.show(); };
    pictures.show({ ...other, images, shown: picture, pixels }, choose);
    return { notes: notesOn({ opened: this.opened }, shows), text, label };
  }

  // Say what the server says in the app: `frame` and `view` are what map and comparison have otherwise.
  hear(frame, view, { notes, text, label }, send) {
    const models = this.models.map(({ live }) => live.digest), here = { models, sent: [], box: this.box ? BOX : "", text, put: 0, label, checked: false, ...view };
    this.here.map.address = (said) => this.address.tell(said);
    this.here.hear({ height: 0, address: {}, notes, ...frame, here }, NOTHING, (what, value) => {
      if (what === "selection") this.here.later();
      else send?.(what, value);
    });
  }
}

// Unpack the models of the page, and show them by such a class.
export async function stand(Kind) {
  const main = document.querySelector("main"), texts = [...document.querySelectorAll(".packed")].map((each) => each.textContent);
  const [header, ...weights] = await Promise.all(texts.slice(1).map(unpacked)).catch(() => [null]);
  if (header === null) return void (main.textContent = DAMAGED);
  const { models, ...page } = JSON.parse(new TextDecoder().decode(header));
  const opened = models.map((live, k) => new Opened(live, numbersOf(weights[k])));
  for (const each of opened) heldModels().set(each.live.digest, each);
  main.replaceChildren(); // a page that was saved while it ran has all in it
  document.querySelector("header button")?.remove();
  const shown = new Kind(main, page, opened);
  shown.begin();
  document.querySelector("header").append(lights(() => shown.show()));
}
