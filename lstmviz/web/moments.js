// The slider over training time. It reports only what a person does to it, as an event; also that somebody holds it where it
// stands, as at its first step while it plays. Streamlit's own slider also repeats what it was set to a moment ago, so that
// one which follows the newest step would stop there.

import { make } from "./dom.js";
import { teller } from "./streamlit.js";

const MOVES = /^(Arrow|Page|Home|End)/; // keys, also where it cannot go further
const PATIENCE = 10_000; // milliseconds, after which what was said is no longer waited for

export default function moments({ parentElement, data, setTriggerValue }) {
  const { label, steps, at, heard } = JSON.parse(new TextDecoder().decode(data)), now = performance.now();
  let box = parentElement.querySelector(".moments");
  if (!box) {
    const slider = Object.assign(document.createElement("input"), { type: "range", min: 0 });
    const step = make("span", "step"), name = make("span", "label");
    box = parentElement.appendChild(make("label", "moments", "", [make("span", "head", "", [name, step]), slider]));
    Object.assign(box, { slider, step, name, held: -Infinity, teller: teller() });
  }
  const { slider, step, name } = box, send = box.teller(setTriggerValue);
  const show = () => {
    step.textContent = steps[slider.value].toLocaleString("en");
    slider.setAttribute("aria-valuetext", `after ${step.textContent} steps`);
  };
  const hold = () => {
    box.held = performance.now();
    clearTimeout(box.timer);
    box.timer = setTimeout(() => send("moved", [steps[slider.value], box.held]), 80);
  };
  name.textContent = label;
  slider.max = steps.length - 1;
  if (heard >= box.held || now > box.held + PATIENCE) slider.value = steps.indexOf(at); // else it is from before
  slider.oninput = () => { hold(); show(); };
  slider.onpointerdown = hold;
  slider.onkeydown = ({ key }) => { if (MOVES.test(key)) hold(); };
  show();
}
