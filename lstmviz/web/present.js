// What a person takes along: the link to the view, and a picture for a slide, drawn anew at a size and in a light of its own.

import { NEWLINE_SIGN, PAGES, SPACE_SIGN } from "./constants.js";
import { button, make } from "./dom.js";
import { readTheme, resize, setFont, write } from "./paint/pen.js";
import { tokenFont } from "./paint/tokens.js";

const SIZES = { "1920 × 1080": [1920, 1080], "1600 × 900": [1600, 900], "1080 × 1080": [1080, 1080], "as wide as here": null };
export const PAD = 24, LINE = 20; // CSS pixels

// A button that copies the page's address, which tells the whole view.
export function linkButton() {
  const label = "copy the link to this view";
  const say = (text, label) => { element.textContent = text; element.setAttribute("aria-label", label); };
  const element = button("copy link", label, async () => {
    if (!await copyText(location.href, element)) return;
    say("copied", "link copied");
    clearTimeout(element.timer);
    element.timer = setTimeout(say, 2000, "copy link", label);
  });
  element.setAttribute("aria-live", "polite");
  return element;
}

// Whether the text is on the clipboard; where the browser allows no page to do that, it is shown, selected, to be copied.
async function copyText(text, beside) {
  try {
    await navigator.clipboard.writeText(text); // not there at all but on localhost and over https
    return true;
  } catch {
    const field = Object.assign(document.createElement("input"), { value: text, readOnly: true });
    const { box, close } = openDialog("Copy this link", [field], beside);
    field.setAttribute("aria-label", "link to this view");
    field.select();
    const copied = document.execCommand("copy"); // old, and allowed where the new way is not
    if (copied) close();
    else box.append(make("p", "quiet", "The browser lets no page copy here: press Ctrl+C, or ⌘C."));
    return copied;
  }
}

function openDialog(title, children, beside) {
  const box = make("dialog", "present", "", [make("h4", "", title), ...children]);
  const close = () => { box.close(); };
  const shut = button("×", "close", close);
  shut.className = "shut";
  box.append(shut);
  box.addEventListener("close", () => { box.remove(); beside.focus(); });
  box.addEventListener("click", (event) => { if (event.target === box) close(); }); // on what lies behind it
  box.addEventListener("keydown", (event) => event.stopPropagation()); // the map has keys of its own
  beside.closest(".map").after(box);
  box.showModal();
  return { box, close };
}

// A button that opens the choice of size and light, with the picture as it will be.
export function pictureButton(map, name) {
  const element = button("picture", "save a picture, at a size of your choice, light or dark", () => {
    const size = choice("size", Object.keys(SIZES)), light = choice("light", ["light", "dark"]);
    light.field.value = map.theme.mode;
    const preview = make("div", "preview"), save = button("save PNG", "save the picture as a file", () => saveCanvas(preview.firstChild, name));
    const show = () => { preview.replaceChildren(present(map, SIZES[size.field.value], light.field.value)); };
    for (const { field } of [size, light]) field.onchange = show;
    openDialog("A picture to show", [make("div", "choices", "", [size.label, light.label, save]), preview], element);
    show();
  });
  return element;
}

function choice(name, values) {
  const field = document.createElement("select");
  field.setAttribute("aria-label", name);
  for (const value of values) field.append(Object.assign(make("option", "", value), { value }));
  return { field, label: make("label", "", name, [field]) };
}

function saveCanvas(canvas, name) {
  canvas.toBlob((blob) => {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

function paper(mode, box) { // the map's theme, as it is or as it would be
  const sheet = box.appendChild(make("div"));
  for (const [name, colour] of Object.entries(PAGES[mode])) sheet.style.setProperty(`--st-${name}-color`, colour);
  const theme = readTheme(sheet);
  sheet.remove();
  return theme;
}

// The map or the comparison drawn once more, on a canvas of its own, under the sentence as a headline. `map` says how it
// would lie on another canvas (`lay`), paints that (`drawOn`), and has the sentence (`words`) and what stands below it
// (`headlines`).
function present(map, size, mode) {
  const theme = paper(mode, map.box), canvas = document.createElement("canvas"), paint = canvas.getContext("2d", { alpha: false });
  const attempt = (width, dpr, height) => {
    const view = map.lay(paint, theme, { width, dpr, zoom: 1, height });
    const wanted = (map.words().labels.length * view.column) / (view.right - view.left - (view.gap?.width ?? 0));
    // The whole sentence, however narrow its columns.
    return wanted > 1 ? map.lay(paint, theme, { width, dpr, zoom: 1 / wanted, height }) : view;
  };
  let view, head, whole;
  if (size === null) {
    view = attempt(map.width, Math.max(2, window.devicePixelRatio || 1));
    head = headOf(map, paint, view, theme);
    whole = [map.width, head.height + view.height + PAD];
  } else {
    const [width, height] = size;
    const tall = (scale, share) => {
      view = attempt(width / scale, scale, share);
      head = headOf(map, paint, view, theme);
      return head.height + view.height + PAD;
    };
    let scale = 1.5;
    while (scale > 0.5 && tall(scale, 0) > height / scale) scale -= 0.125; // as large as there is room for
    let low = 0, high = 2 * height / scale; // its panels as high as they may be
    for (let step = 0; step < 12; step++) {
      const middle = (low + high) / 2;
      if (tall(scale, middle) <= height / scale) low = middle;
      else high = middle;
    }
    tall(scale, low);
    whole = [width / scale, height / scale];
  }
  resize(canvas, view);
  map.drawOn(paint, view, theme);
  return mount(canvas, head, theme, view.dpr, ...whole);
}

function mount(picture, head, theme, dpr, width, height) { // head and map on one canvas, pixel for pixel
  const canvas = document.createElement("canvas"), paint = canvas.getContext("2d", { alpha: false });
  Object.assign(canvas, { width: Math.round(width * dpr), height: Math.round(height * dpr) });
  paint.fillStyle = theme.page;
  paint.fillRect(0, 0, canvas.width, canvas.height);
  paint.drawImage(picture, 0, Math.round(head.height * dpr));
  paint.setTransform(dpr, 0, 0, dpr, 0, 0);
  paint.direction = "ltr";
  for (const draw of head.lines) draw(paint);
  return canvas;
}

// The sentence, and below it what the map says of the model or of the models; how high it is, and what draws it.
function headOf(map, paint, view, theme) {
  const lines = [], { width } = view, { level, labels, headline } = map.words(), family = tokenFont(theme, level);
  const text = headline || (level === "char" ? labels.join("").replaceAll(SPACE_SIGN, " ") : labels.join(" "))
    .replace(new RegExp(`^${NEWLINE_SIGN} ?`), "");
  const size = width < 600 ? 18 : 26;
  setFont(paint, size, 600, family);
  let y = PAD + size / 2;
  for (const row of wrapped(paint, text, width - 2 * PAD, 2)) {
    const at = y;
    lines.push((on) => write(on, theme, row, PAD, at, { size, weight: 600, align: "left", family }));
    y += 1.3 * size;
  }
  for (const draw of map.headlines(paint, view, theme, width)) {
    const at = y + 4;
    lines.push((on) => draw(on, at));
    y += LINE;
  }
  return { height: y + 10, lines };
}

export function wrapped(paint, text, room, most) { // into so many lines, of whole words where they fit; the rest is an ellipsis
  const fits = (letters) => paint.measureText(letters.join("")).width <= room, rows = [];
  let rest = [...text];
  while (rest.length && rows.length < most) {
    let low = 1, high = rest.length;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (fits(rest.slice(0, middle))) low = middle;
      else high = middle - 1;
    }
    const space = low < rest.length ? rest.slice(0, low + 1).lastIndexOf(" ") : -1;
    const cut = space > low / 2 ? space : low;
    rows.push(rest.slice(0, cut).join("").trim());
    rest = rest.slice(cut);
  }
  if (rest.length) rows[rows.length - 1] = `${rows.at(-1).slice(0, -1)}…`;
  return rows;
}
