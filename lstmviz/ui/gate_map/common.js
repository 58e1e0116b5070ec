// What the gate map and the readout share; gate_map.py puts this file in front of both.

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

// The perplexity, and how much of what it is of the model does not know: a share, or null.
function soFar(nll, unknown) {
  return `perplexity so far ${perplexity(nll)}${unknown ? `, ${Math.round(unknown * 100)}\u00a0% <unk>` : ""}`;
}

const shortLabel = (role) => role.label.replace(/ \(.*\)| (gate|state)$/g, "");
