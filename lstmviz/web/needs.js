// What the scripts need of a browser. Where it cannot draw, that is said in the map's place; where it can, but can do no more,
// the app lets the server answer, and a page to keep says so in the place of all.

import { make } from "./dom.js";

const DRAWS = {
  "canvases that are not on the page": () => new OffscreenCanvas(1, 1).getContext("2d"),
  "mixed colours in style sheets": () => CSS.supports("color", "color-mix(in srgb, red 50%, blue)"),
};
const ANSWERS = {
  "classes of characters in regular expressions (the flag v)": () => new RegExp("[\\p{L}--[a-z]]", "v"),
  "texts that can be made well-formed": () => "a".toWellFormed(),
  "style sheets that ask what is in an element (:has)": () => CSS.supports("selector(:has(*))"), // of controls of our own
};

const lackingOf = (needs) => Object.keys(needs).find((what) => {
  try { return !needs[what](); } catch { return true; }
});

// What is not there; undefined where all is.
export const lackingToDraw = () => lackingOf(DRAWS);
export const lackingToAnswer = () => lackingOf({ ...DRAWS, ...ANSWERS });

export const sentenceOn = (what) => `This browser lacks something that the page needs: ${what}. ` +
  "Chrome and Edge have it from version 112 on, Firefox from 121 and Safari from 17.";

// Whether a component cannot draw, which it says in its place.
export function refused(place) {
  const what = lackingToDraw();
  if (what) (place.querySelector("p") ?? place.appendChild(make("p", ""))).textContent = sentenceOn(what);
  return Boolean(what);
}
