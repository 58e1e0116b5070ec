// The slider over training time. It reports only what a person does to it, as an event. Streamlit's own slider also repeats
// what it was set to a moment ago, so that one which follows the newest step would stop there.

import { make } from "./dom.js";
import { teller } from "./streamlit.js";

export default function moments({ parentElement, data, setTriggerValue }) {
  const { label, steps, at } = JSON.parse(new TextDecoder().decode(data));
  let box = parentElement.querySelector(".moments");
  if (!box) {
    const slider = Object.assign(document.createElement("input"), { type: "range", min: 0 });
    const step = make("span", "step"), name = make("span", "label");
    box = parentElement.appendChild(make("label", "moments", "", [make("span", "head", "", [name, step]), slider]));
    Object.assign(box, { slider, step, name, touched: 0, teller: teller() });
    for (const touch of ["pointerdown", "pointermove", "keydown"])
      slider.addEventListener(touch, () => { box.touched = performance.now(); });
  }
  const { slider, step, name } = box, send = box.teller(setTriggerValue);
  const show = () => {
    step.textContent = steps[slider.value].toLocaleString("en");
    slider.setAttribute("aria-valuetext", `after ${step.textContent} steps`);
  };
  name.textContent = label;
  slider.max = steps.length - 1;
  if (performance.now() - box.touched > 700) slider.value = steps.indexOf(at); // not under somebody's finger
  slider.oninput = () => {
    box.touched = performance.now();
    show();
    clearTimeout(box.timer);
    box.timer = setTimeout(() => send("moved", steps[slider.value]), 80);
  };
  show();
}
