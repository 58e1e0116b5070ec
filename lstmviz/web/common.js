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

// In at most seven signs, however large: 0.25, −123.5, 1024, 1.2e5, −1e30, ∞.
function number(value, digits = 2) {
  if (missing(value)) return "–";
  const size = Math.abs(value);
  const text = size === Infinity ? `${value}`.replace("Infinity", "∞") :
    size >= 9999.5 ? value.toExponential(size < 1e10 ? 1 : 0).replace("+", "").replace(".0e", "e") :
    value.toFixed(size >= 999.5 ? 0 : size >= 99.95 ? Math.min(1, digits) : digits);
  return text.replace(/^-(0\.?0*)$/, "$1").replace("-", "−").replace("e-", "e−");
}

function perplexity(nll) {
  if (missing(nll)) return "–";
  const value = Math.exp(nll);
  return value < 100 ? value.toFixed(1) : value < 1e5 ? value.toFixed(0) : number(value, 0);
}

// The perplexity, and how much of what it is of the model does not know: a share, or null.
function soFar(nll, unknown) {
  return `perplexity so far ${perplexity(nll)}${unknown ? `, ${Math.round(unknown * 100)}\u00a0% <unk>` : ""}`;
}

const shortLabel = (role) => role.label.replace(/ \(.*\)| (gate|state)$/g, "");

// What a unit holds: c; in an sLSTM the mean c / n; in a cell that has no c, h.
const heldOf = (values) => "normalizer" in values ? values.cell / values.normalizer : values.cell ?? values.hidden;

// The share of it that a unit keeps: the gate that keeps, under whatever name; NaN where there is none.
function keptOf(now, before) {
  if ("normalizer" in now) return Math.exp(now.log_forget_gate) * before.normalizer / now.normalizer;
  return now.forget_gate ?? now.update_gate ?? NaN;
}

const list = (names) => names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
const named = (units) => units.length > 1 ? `mean of units ${list(units)}` : `unit ${units[0]}`;
