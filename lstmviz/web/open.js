// The script of a page that stands alone is packed, as the first of its blocks. It runs where it is the one that the policy of
// the page names.

import { lackingToAnswer, sentenceOn } from "./needs.js";
import { DAMAGED, unpacked } from "./packed.js";

async function open() {
  try {
    const text = new TextDecoder().decode(await unpacked(document.querySelector(".packed").textContent));
    const script = Object.assign(document.createElement("script"), { type: "module", textContent: text });
    document.head.append(script);
    script.remove(); // it runs all the same, and a page that is saved meanwhile has it once
  } catch {
    document.querySelector("main").textContent = DAMAGED;
  }
}
const lacks = lackingToAnswer();
if (lacks) document.querySelector("main").textContent = sentenceOn(lacks);
else open();
