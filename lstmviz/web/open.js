// The script of a page that stands alone is packed, as the first of its blocks. It runs where it is the one that the policy of
// the page names.

import { DAMAGED, unpacked } from "./packed.js";

async function open() {
  try {
    const text = new TextDecoder().decode(await unpacked(document.querySelector(".packed").textContent));
    document.head.append(Object.assign(document.createElement("script"), { type: "module", textContent: text }));
  } catch {
    document.querySelector("main").textContent = DAMAGED;
  }
}
if (!document.documentElement.dataset.lacks) open();
