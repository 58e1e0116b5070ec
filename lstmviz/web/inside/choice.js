// One of several values, side by side.

import { button, make } from "../dom.js";

// {element, set(value)}; `act` hears what somebody chooses.
export function choiceOf(label, values, act) {
  const buttons = values.map((value) => button(value, `${label}: ${value}`, () => act(value)));
  const element = make("span", "segments", "", buttons);
  element.setAttribute("role", "group");
  element.setAttribute("aria-label", label);
  return { element, set: (chosen) => buttons.forEach((each, k) => each.setAttribute("aria-pressed", values[k] === chosen)) };
}
