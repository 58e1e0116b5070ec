// What is said of tokens and numbers: pure functions of their arguments.

import { RIGHT_TO_LEFT, UNSEEN } from "./constants.js";

const unseen = new RegExp(UNSEEN, "gu"), rightToLeft = new RegExp(RIGHT_TO_LEFT, "u");

// A text as it is in the data, but that what nobody sees is seen, as ‹U+202E›. Its twin, with the reasons, is in
// lstmviz/data/vocabulary.py.
export const shown = (text) => text.replace(unseen, (found, seen) => seen ?? coded(found));
export const coded = (sign) => `‹U+${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}›`;

// In the middle of other text, whose order it leaves as it is.
export function inline(text) {
  const seen = shown(text);
  return rightToLeft.test(seen) ? `\u2068${seen}\u2069` : seen;
}

// A sign as it can be drawn: a mark without a letter on ◌.
export const drawable = (sign) => shown(sign).replace(/^\p{M}/u, "◌$&");

export const missing = (value) => value === null || value === undefined || Number.isNaN(value);

// In at most seven signs, however large: 0.25, −123.5, 1024, 1.2e5, −1e30, ∞.
export function number(value, digits = 2) {
  if (missing(value)) return "–";
  const size = Math.abs(value);
  const text = size === Infinity ? `${value}`.replace("Infinity", "∞") :
    size >= 9999.5 ? value.toExponential(size < 1e10 ? 1 : 0).replace("+", "").replace(".0e", "e") :
    value.toFixed(size >= 999.5 ? 0 : size >= 99.95 ? Math.min(1, digits) : digits);
  return text.replace(/^-(0\.?0*)$/, "$1").replace("-", "−").replace("e-", "e−");
}

// How much less a model lost at a token than what is laid over its loss, in nats; and how many tokens each said clearly better.
export const gainOf = ({ nll, beside }, t) => (missing(nll[t]) || missing(beside.nll[t]) ? NaN : beside.nll[t] - nll[t]);
export const ALIKE = 0.1; // nats: a probability within a tenth of the other's
export function tally(data) {
  const gains = data.nll.map((_, t) => gainOf(data, t));
  return { model: gains.filter((gain) => gain > ALIKE).length, beside: gains.filter((gain) => gain < -ALIKE).length };
}

export const percent = (share) => `${Math.round(share * 100)}\u00a0%`;
export const signed = (value) => (value >= 0.005 ? "+" : "") + number(value);
export const whole = (value) => number(value, Number.isInteger(value) ? 0 : 2);

export function perplexity(nll) {
  if (missing(nll)) return "–";
  const value = Math.exp(nll);
  return value < 100 ? value.toFixed(1) : value < 1e5 ? value.toFixed(0) : number(value, 0);
}

// The perplexity, and how much of what it is of the model does not know: a share, or null.
export function soFar(nll, unknown) {
  return `perplexity so far ${perplexity(nll)}${unknown ? `, ${percent(unknown)} <unk>` : ""}`;
}

// What a model thinks likeliest after a column.
export function likeliest({ tokens, probabilities }, t) {
  const most = probabilities[t].reduce((best, p, k, all) => (p > all[best] ? k : best), 0);
  return { label: tokens[t][most], probability: probabilities[t][most] };
}

// A column in the middle of other text: “a” (3), or row 4.
export const called = ({ level, labels }, t) => (level === "row" ? labels[t] : `“${inline(labels[t])}” (${t})`);

export const shortLabel = (role) => role.label.replace(/ \(.*\)| (gate|state)$/g, "");

export const list = (names) => names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
export const named = (units) => units.length > 1 ? `mean of units ${list(units)}` : `unit ${units[0]}`;
