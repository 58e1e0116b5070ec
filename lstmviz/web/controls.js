// What stands around the map on a page that stands alone: each control is an element of the browser's own.

import { button, make } from "./dom.js";

const REST = 200; // milliseconds; some browsers let a page change its address only so often

// What is shown, in the page's address: so a copy of it shows the same. Names are those of the app's links.
export class Address {
  constructor() {
    this.said = new URLSearchParams(location.hash.slice(1));
    addEventListener("hashchange", () => location.reload()); // somebody wrote another one
    addEventListener("pagehide", () => this.write());
  }

  get(name) { return this.said.get(name); }

  tell(changes) { // name -> value, or null, which takes the name out
    for (const [name, value] of Object.entries(changes)) value === null ? this.said.delete(name) : this.said.set(name, value);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.write(), REST);
  }

  write() {
    if (`#${this.said}` !== location.hash) history.replaceState(null, "", `#${this.said}`);
  }
}

// A place with the style sheets of its own that something has in the app, too.
export function shadow(name) {
  const root = make("div", `place-${name}`).attachShadow({ mode: "open" });
  root.append(document.getElementById(`${name}-style`).content.cloneNode(true));
  return root;
}

// What opens over the page, until Escape is pressed or something else is chosen.
export function menu(name, children) {
  const title = make("summary", "", name), element = make("details", "menu", "", [title, make("div", "", "", children)]);
  element.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape" || !element.open) return;
    element.open = false;
    title.focus();
  });
  addEventListener("pointerdown", ({ target }) => { if (!element.contains(target)) element.open = false; });
  element.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget && !element.contains(relatedTarget)) element.open = false;
  });
  return element;
}

let choices = 0;

// One of several values.
export function choice(name, values, chosen, act) {
  const group = `choice${choices++}`;
  const options = values.map((value) => {
    const input = Object.assign(make("input", ""), { type: "radio", name: group, value, checked: value === chosen, onchange: () => act(value) });
    return make("label", "", "", [input, make("span", "", value)]);
  });
  const element = make("span", "choice", "", [make("span", "what", name), make("span", "values", "", options)]);
  element.setAttribute("role", "radiogroup");
  element.setAttribute("aria-label", name);
  return element;
}

// Some of several things, at least one; each has a value, a label and a meaning.
export function switches(things, chosen, act) {
  const boxes = things.map(({ value, label, meaning }) => {
    const input = Object.assign(make("input", ""), { type: "checkbox", value, checked: chosen.includes(value) });
    input.addEventListener("change", () => {
      const now = boxes.filter(({ firstChild }) => firstChild.checked);
      if (now.length) act(now.map(({ firstChild }) => firstChild.value));
      else input.checked = true;
    });
    return Object.assign(make("label", "", "", [input, ` ${label}`]), { title: meaning });
  });
  return make("div", "switches", "", boxes);
}

// A number from `least` to `most`, in steps.
export function slider(name, meaning, [least, most, step], value, act) {
  const told = make("output", "", `${value}`);
  const input = Object.assign(make("input", ""), { type: "range", min: least, max: most, step });
  input.value = value; // after its ends
  input.addEventListener("input", () => { told.textContent = input.value; act(Number(input.value)); });
  return Object.assign(make("label", "slider", "", [make("span", "", name), input, told]), { title: meaning });
}

// The button that makes a light page dark, and back; `then` draws what is on it anew.
export function lights(then) {
  const dark = matchMedia("(prefers-color-scheme: dark)"), { dataset } = document.documentElement;
  const now = () => dataset.light ?? (dark.matches ? "dark" : "light"), other = () => (now() === "dark" ? "light" : "dark");
  const element = button("", "", () => { dataset.light = other(); changed(); });
  const changed = () => {
    element.textContent = other();
    element.title = `make the page ${other()}`;
    element.setAttribute("aria-label", element.title);
    then();
  };
  dark.addEventListener("change", changed);
  changed();
  return element;
}
