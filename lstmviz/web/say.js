// The sentence that a beginner reads: what a unit did at a token. Its twin is lstmviz/explain/say.py.

import { bySymbol, hasGate, memoryOf } from "./deeds.js";
import { evaluate } from "./equations.js";
import { ALIKE, inline, likeliest, list, missing, number, percent, perplexity, signed } from "./words.js";

const known = (...values) => values.every((value) => Number.isFinite(value));

// It follows from what the cell says that it does, not from the names of its gates: see deeds.js. `roles` have a value and the
// one before; `begins`: nothing was read before the first token; `begun`: the label that began it; `lets_out`: what an output
// gate lets out; `resets`: what a gate that looks back acts on; `wrote`: what it wrote, where it stands beside equations, as they show it.
export function sentence({ roles, time, begins, begun = null, symbols, does, lets_out, resets, wrote = null, children, parent }) {
  if (children) return inTree({ roles, symbols, does, lets_out, children, parent });
  if (time === 0 && begun !== null) return `What it held before is what the label “${inline(begun)}” made.`;
  if (time > 0 && time === roles[0].begin) return "What it held before was made of all that was read.";
  if (time === 0 && !begins) return "What it held before this token is not on the map.";
  const now = Object.fromEntries(roles.map(({ role, value }) => [role, value]));
  const before = Object.fromEntries(roles.map(({ role, previous }) => [role, previous]));
  const cell = { symbols, does }, env = bySymbol(symbols, now, before);
  const { held, was, kept } = memoryOf(cell, env, bySymbol(symbols, before));
  const { hidden, candidate } = now, keeps = known(was) ? `Keeps ${percent(kept)} of what it held (${number(was)})` : "Starts empty";
  const shows = does.shows === null ? NaN : evaluate(does.shows, env);
  const shown = known(shows) ? `, shows ${percent(shows)}${lets_out === "memory" ? "" : ` of its ${lets_out}`}` : "";
  if (does.keeps !== null && Array.isArray(does.holds)) { // a mean of what was written, as c / n
    const share = known(kept) ? kept : 0;
    return `${keeps}, writes ${signed(candidate)} as ${percent(1 - share)} of it${shown}.`;
  }
  if (does.writes !== null && !hasGate(cell, "writes") && known(kept, candidate)) { // what it does not keep
    const saw = does.looks_back === null ? NaN : evaluate(does.looks_back, env), share = percent(saw);
    const past = resets === "past" ? `; all candidates saw ${share} of what it held` : `, which saw ${share} of the past`;
    return `${keeps}, takes ${percent(1 - kept)} of its candidate ${signed(candidate)}${known(saw) ? past : ""}.`;
  }
  if (known(kept, held)) return `${keeps}, writes ${signed(wrote ?? held - (known(was) ? kept * was : 0))}${shown}.`;
  if (!known(hidden)) return "";
  if (!known(before.hidden)) return `Starts empty, becomes ${signed(hidden)}.`;
  return `Goes from ${number(before.hidden)} to ${number(hidden)}: no gate keeps what it held.`;
}

// Of a node of a tree: a forget gate stands at the child of which it is. `children` have a label and their values by role, and
// `parent` a label, null at the root.
function inTree({ roles, symbols, does, lets_out, children, parent }) {
  const now = Object.fromEntries(roles.map(({ role, value }) => [role, value])), env = bySymbol(symbols, now);
  const cell = { symbols, does }, { held, kept: ofThis } = memoryOf(cell, env, {});
  let kept = 0;
  const parts = children.map(({ label, values }) => {
    const child = memoryOf(cell, bySymbol(symbols, values), {});
    kept += child.kept * child.held;
    return `${percent(child.kept)} of “${inline(label)}” (${signed(child.held)})`;
  });
  const keeps = parts.length ? `Keeps ${list(parts)}` : "Has no children";
  const shows = `shows ${percent(evaluate(does.shows, env))}${lets_out === "memory" ? "" : ` of its ${lets_out}`}`;
  const above = parent === null ? "" : ` Its forget gate is its parent's: “${inline(parent)}” keeps ${percent(ofThis)} of what it holds.`;
  return `${keeps}, writes ${signed(held - kept)}, ${shows}.${above}`;
}

// What a model that says labels makes of a column.
export function answered({ top, answer }, t) {
  if (!top.tokens[t].length) return "Is only read: nothing is said yet";
  const { label, probability } = likeliest(top, t), says = `Says ${inline(label)} (${number(probability)})`;
  if (answer.labels[t] === null) return `${says}; nothing is asked here`;
  const asked = inline(answer.labels[t]), given = number(answer.probability[t]);
  if (label === answer.labels[t]) return answer.known ? `${says}, which is right` : says;
  return answer.known ? `${says}; right is ${asked} (${given})` : `${says}; in the end ${asked}, now ${given}`;
}

// How much the step that says a column looks at one that was read; null where none does.
export function lookOf({ attention, said_from: from }, a, b) {
  const [source, step] = [Math.min(a, b), Math.max(a, b) - from];
  return attention && source < from && step >= 0 ? attention.looks[step][source] : null;
}

// How much a step looks at a token that was read; without one, at which it looks most.
export function looksAt(data, t, source = null) {
  const { attention, said_from: from, labels } = data, looks = attention?.looks[t - from];
  if (!looks) return "";
  const at = source ?? looks.indexOf(Math.max(...looks)), right = attention.aligned[t - from] === at ? ", where it comes from" : "";
  return `${source === null ? "Looks most" : "Looks"} at “${inline(labels[at])}” (${at}), ${number(looks[at])}${right}`;
}

const chance = (nll) => {
  const p = Math.exp(-nll);
  return p < 0.0001 ? "below 0.01\u00a0%" : p < 0.01 ? `${(100 * p).toFixed(2)}\u00a0%` : percent(p);
};
const often = (times) => (times === 1 ? "once" : times === 2 ? "twice" : `${times.toLocaleString("en")} times`);

// Who said a token better, the model or the n-gram that is laid over its loss, and what of it had been counted: two sentences.
export function paysOff({ token, reads, nll, running_nll, beside }) {
  if (missing(nll) || missing(beside.nll)) return [];
  const { name, context, context_times, whole, longer, run, run_times } = beside, gain = beside.nll - nll, said = inline(reads ?? token);
  const who = gain > ALIKE ? `memory gains ${number(gain)} nats` : gain < -ALIKE ? `counting gains ${number(-gain)} nats` :
    "they say it alike";
  const counted = !context ? `“${said}” was counted ${often(run_times)}` :
    `“${inline(context)}” was counted ${often(context_times)}, ` +
    (whole ? `${run_times < context_times ? `${often(run_times)} ` : context_times > 1 ? "always " : ""}before “${said}”` :
      `never before “${said}”${longer ? `; “${inline(run)}” was, ${often(run_times)}` : ""}`);
  return [
    `The ${name} gave “${said}” ${chance(beside.nll)}, this model ${chance(nll)}: ${who}.`,
    `${counted}. Perplexity so far ${perplexity(beside.running_nll)}, this model ${perplexity(running_nll)}.`,
  ];
}
