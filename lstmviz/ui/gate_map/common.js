// What the gate map and the readout share; gate_map.py puts this file in front of all.

// What a component gives back to Streamlit, to be done when its place has left the page. Streamlit awaits a component's
// function; a message that comes meanwhile makes it call what the one before gave back, although the place and all that is
// in it stay. Whoever let go of them then would draw a second map below the first.
const whenGone = (place, act) => () => { if (!place.isConnected) act(); };

// Whether some element of the page is still on its way: Streamlit fetches each kind when it is first needed. Until then the
// server is told nothing, since its answer would take the place of what it had put there: the sentence in its box.
const loading = () => document.querySelector("[data-testid=stSkeleton]") !== null;

const clamp = (x, low, high) => Math.max(low, Math.min(high, x));

// All text reaches the page through textContent (or the canvas's fillText), so a token can never become markup.
function make(tag, name, text = "", children = []) {
  const element = Object.assign(document.createElement(tag), { className: name, textContent: text });
  element.append(...children);
  return element;
}

// A token as it can be seen: control codes as their pictures, lone combining marks and invisible characters as ◌.
function visible(text) {
  return text.replace(/[\u0000-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/^\p{M}/u, "◌$&")
    .replace(/^[\p{Cf}\p{Zl}\p{Zp}]$/u, "◌");
}

const missing = (value) => value === null || value === undefined || Number.isNaN(value);

function number(value, digits = 2) {
  if (missing(value)) return "–";
  return value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1").replace("-", "−");
}

function perplexity(nll) {
  if (missing(nll)) return "–";
  const value = Math.exp(nll);
  return value < 100 ? value.toFixed(1) : value < 1e5 ? value.toFixed(0) : value.toExponential(0).replace("+", "");
}

const shortLabel = (role) => role.label.replace(/ \(.*\)| (gate|state)$/g, "");
