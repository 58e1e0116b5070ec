// Which image is read: one of those that come with the project, or what somebody draws. While it is drawn the server hears
// of it as often as it answers.

import { button, make } from "./dom.js";
import { penOf, rendered, trace } from "./drawing.js";
import { refused } from "./needs.js";
import { readTheme } from "./paint/pen.js";
import { picture } from "./paint/rows.js";
import { draws } from "./shared.js";
import { teller } from "./streamlit.js";
import { clamp } from "./view.js";

const PAD = 150, SMALL = 34, INSET = 3, BETWEEN_THUMBS = 4; // CSS pixels: of the pad, and of the images to choose from
const PATIENCE = 3000; // milliseconds, after which an answer is no longer waited for

export class Pictures {
  constructor(root) {
    this.strokes = [];
    this.wanted = this.asked = null; // what is to be read; and what the server was told and has not answered
    this.box = root.appendChild(make("div", "pictures"));
    this.box.pictures = this; // for tests, and for the curious
    this.pad = make("canvas", "pad");
    this.clear = button("clear", "take the drawing away", () => this.choose(this.image));
    this.hint = make("span", "hint");
    this.thumbs = make("canvas", "thumbs");
    this.list = make("div", "list", "", [this.thumbs]);
    this.list.tabIndex = 0;
    this.list.setAttribute("role", "listbox");
    this.title = make("span", "title");
    this.spoken = make("div", "spoken");
    this.spoken.setAttribute("aria-live", "polite");
    const drawn = make("div", "draw", "", [this.pad, make("div", "below", "", [this.hint, this.clear])]);
    this.box.append(drawn, make("div", "choose", "", [this.title, this.list]), this.spoken);
    this.listen();
    this.room = new ResizeObserver(() => this.data && this.drawThumbs());
    this.room.observe(this.list);
  }

  show(data, send) {
    const first = !this.data, said = JSON.stringify(data.shown);
    Object.assign(this, { data, send, theme: readTheme(this.box) });
    if (first) Object.assign(this, { wanted: said, image: data.shown.image ?? 0, reveal: true });
    if (said === this.asked) this.asked = null;
    this.title.textContent = `or take one of ${data.images.length} test images: a click, or the arrow keys`;
    this.pad.setAttribute("aria-label", `A place to draw a ${data.noun}`);
    this.list.setAttribute("aria-label", `${data.images.length} test images. The arrow keys choose one.`);
    this.drawPad();
    this.drawThumbs();
    this.tell();
  }

  // ---- to the server -------------------------------------------------------------------------------------------------

  want(shown) {
    this.wanted = JSON.stringify(shown);
    this.tell();
  }

  tell() {
    if (this.asked || this.wanted === JSON.stringify(this.data.shown)) return;
    this.asked = this.wanted;
    this.send("picture", JSON.parse(this.wanted));
    clearTimeout(this.patience);
    this.patience = setTimeout(() => {
      this.asked = null;
      this.tell();
    }, PATIENCE);
  }

  choose(image) {
    this.image = clamp(image, 0, this.data.images.length - 1);
    this.strokes = [];
    this.reveal = true;
    this.want({ image: this.image });
    this.drawPad();
    this.drawThumbs();
    this.spoken.textContent = `Test image ${this.image}, a ${this.data.labels[this.image]}`;
  }

  // ---- what is seen --------------------------------------------------------------------------------------------------

  drawPad() {
    const { pad, theme, data, strokes } = this, dpr = window.devicePixelRatio || 1, size = Math.round(PAD * dpr);
    Object.assign(pad, { width: size, height: size });
    const paint = pad.getContext("2d"), { shown } = data, image = JSON.parse(this.wanted).image;
    Object.assign(paint, { strokeStyle: theme.ink, imageSmoothingEnabled: false });
    if (strokes.length) trace(paint, strokes, ([x, y]) => [x * size, y * size], (penOf(data.side) / data.side) * size);
    else paint.drawImage(picture(image === undefined || image === shown.image ? data.pixels : data.images[image], theme.ink), 0, 0, size, size);
    const drawn = image === undefined;
    this.hint.textContent = drawn ? "your drawing" : `draw a ${data.noun} here`;
    this.clear.hidden = !drawn;
  }

  drawThumbs() {
    const { list, thumbs, theme, data } = this, dpr = window.devicePixelRatio || 1, pitch = SMALL + BETWEEN_THUMBS;
    const columns = this.columns = Math.max(1, Math.floor((list.clientWidth + BETWEEN_THUMBS) / pitch));
    const key = JSON.stringify([columns, theme.ink, dpr, data.images.length]);
    if (key !== this.drawnAs) {
      this.drawnAs = key;
      this.sheet = document.createElement("canvas");
      const rows = Math.ceil(data.images.length / columns);
      Object.assign(this.sheet, { width: columns * pitch * dpr, height: rows * pitch * dpr });
      const paint = this.sheet.getContext("2d");
      paint.scale(dpr, dpr);
      data.images.forEach((code, k) => {
        const [left, top] = this.place(k);
        paint.globalAlpha = 0.07;
        paint.fillStyle = theme.ink;
        paint.fillRect(left, top, SMALL, SMALL);
        paint.globalAlpha = 1;
        paint.drawImage(picture(code, theme.ink), left + INSET, top + INSET, SMALL - 2 * INSET, SMALL - 2 * INSET);
      });
    }
    Object.assign(thumbs, { width: this.sheet.width, height: this.sheet.height });
    thumbs.style.width = `${this.sheet.width / dpr}px`;
    const paint = thumbs.getContext("2d"), { image } = JSON.parse(this.wanted);
    paint.drawImage(this.sheet, 0, 0);
    if (image === undefined) return;
    const [left, top] = this.place(image);
    paint.scale(dpr, dpr);
    Object.assign(paint, { strokeStyle: theme.primary, lineWidth: 3 });
    paint.strokeRect(left + 1.5, top + 1.5, SMALL - 3, SMALL - 3);
    if (this.reveal) list.scrollTop = clamp(list.scrollTop, top + pitch - list.clientHeight, top);
    this.reveal = false;
  }

  place(k) {
    const pitch = SMALL + BETWEEN_THUMBS;
    return [(k % this.columns) * pitch, Math.floor(k / this.columns) * pitch];
  }

  at({ offsetX, offsetY }) {
    const pitch = SMALL + BETWEEN_THUMBS, column = Math.floor(offsetX / pitch), k = Math.floor(offsetY / pitch) * this.columns + column;
    return column < this.columns && k < this.data.images.length ? k : null;
  }

  // ---- what a person does --------------------------------------------------------------------------------------------

  listen() {
    const { pad, list, thumbs } = this;
    let stroke = null;
    const point = ({ clientX, clientY }) => {
      const { left, top, width, height } = pad.getBoundingClientRect();
      return [clamp((clientX - left) / width, 0, 1), clamp((clientY - top) / height, 0, 1)];
    };
    const show = () => {
      const drawn = rendered(this.strokes, this.data.side);
      draws(drawn.replace(/./g, "$&$&")); // as bytes
      this.want({ drawn });
      this.drawPad();
    };
    pad.addEventListener("pointerdown", (event) => {
      if (event.button || !this.data) return;
      event.preventDefault();
      pad.setPointerCapture(event.pointerId);
      stroke = [point(event)];
      this.strokes.push(stroke);
      show();
      this.drawThumbs(); // none is chosen now
    });
    pad.addEventListener("pointermove", (event) => {
      if (!stroke) return;
      const all = event.getCoalescedEvents?.() ?? [];
      stroke.push(...(all.length ? all : [event]).map(point));
      show();
    });
    for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => { stroke = null; });
    thumbs.addEventListener("click", (event) => {
      const k = this.at(event);
      if (k !== null) this.choose(k);
    });
    thumbs.addEventListener("pointermove", (event) => {
      const k = this.at(event);
      thumbs.title = k === null ? "" : `test image ${k}: a ${this.data.labels[k]}`;
    });
    list.addEventListener("keydown", (event) => {
      const { columns, image } = this, last = this.data.images.length - 1;
      const to = { ArrowLeft: image - 1, ArrowRight: image + 1, ArrowUp: image - columns, ArrowDown: image + columns, Home: 0, End: last }[event.key];
      if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      if (to >= 0 && to <= last) this.choose(to);
    });
  }
}

const every = new WeakMap(); // one a mount

export default function pictures({ parentElement, data, setStateValue }) {
  if (refused(parentElement)) return;
  if (!every.has(parentElement)) every.set(parentElement, { shown: new Pictures(parentElement), tell: teller() });
  const { shown, tell } = every.get(parentElement);
  shown.show(JSON.parse(new TextDecoder().decode(data)), tell(setStateValue));
}
