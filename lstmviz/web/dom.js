// Elements of the page.

// All text reaches the page through textContent (or the canvas's fillText), so a token can never become markup.
export function make(tag, name, text = "", children = []) {
  const element = Object.assign(document.createElement(tag), { className: name, textContent: text });
  element.append(...children);
  return element;
}

// What is to be said of the text, over its map: each note a kind (look, note, info, warning) and a sentence.
export function writeNotes(element, notes) {
  const key = JSON.stringify(notes); // what stays is not read aloud again
  if (element.written === key) return;
  element.written = key;
  element.replaceChildren(...notes.map(([kind, text]) =>
    make("p", kind, "", kind === "look" ? [make("b", "", "Look for: "), text] : [text])));
}

export function noteLines() {
  const lines = make("div", "notes");
  lines.setAttribute("role", "status");
  return lines;
}

export function button(text, label, act) {
  const element = Object.assign(make("button", "", text), { type: "button", title: label, onclick: act });
  element.setAttribute("aria-label", label);
  return element;
}

// A function that does this once the next frame is on the screen: of several calls until then the last.
export function afterFrame(act) {
  let last = null;
  return (...given) => {
    if (!last) requestAnimationFrame(() => setTimeout(() => {
      const now = last;
      last = null;
      act(...now);
    }));
    last = given;
  };
}

export function placeTip(tip, box, event) { // beside the pointer, inside the box
  const { left, top, width, height } = box.getBoundingClientRect(), { offsetWidth, offsetHeight } = tip;
  const [x, y] = [event.clientX - left, event.clientY - top];
  tip.style.left = `${x + 18 + offsetWidth > width ? Math.max(0, x - 14 - offsetWidth) : x + 18}px`;
  tip.style.top = `${y + 18 + offsetHeight > height ? y - 14 - offsetHeight : y + 18}px`;
}

// Put new content into old elements where these are of the same kind: a button that is being pressed stays the same one.
export function renew(before, after) {
  const [old, now] = [[...before.childNodes], [...after.childNodes]];
  now.forEach((node, k) => {
    const was = old[k];
    if (!was) before.append(node);
    else if (was.nodeType !== node.nodeType || was.nodeName !== node.nodeName) was.replaceWith(node);
    else if (node.nodeType === Node.TEXT_NODE) {
      if (was.data !== node.data) was.data = node.data;
    } else {
      for (const { name } of [...was.attributes]) if (!node.hasAttribute(name)) was.removeAttribute(name);
      for (const { name, value } of node.attributes) if (was.getAttribute(name) !== value) was.setAttribute(name, value);
      renew(was, node);
    }
  });
  for (const node of old.slice(now.length)) node.remove();
}
