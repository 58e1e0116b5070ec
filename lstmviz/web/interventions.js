// Interventions (see forcing.js) in a link and in words. Beside what forcing.js says of them one has `off`, where it is switched off.
//
//   forget_gate.9-11.14 at 0.25 from 3 to 7     held, of these units; of all without a number; to the end without "to"
//   cell.9 times 0 layer 2 from 3               what is found of a state, scaled; layers are counted from 1, as on the page
//   cut at 5    token at 4 is x                 times are counted from 0; the token is written as in an address
//
// with "off" before one that is switched off, and "and" between two.

import { called, list, number } from "./words.js";

const MOST = 24, UNITS_MOST = 4096; // as many are read of a link, and units of one
const FORM = new RegExp("^(?<off>off )?(?:cut at (?<cut>\\d{1,6})|token at (?<put>\\d{1,6}) is (?<token>\\S+)" +
  "|(?<role>[a-z_]+)(?<units>(?:\\.\\d{1,5}(?:-\\d{1,5})?)*) (?<op>at|times) (?<value>\\S+)(?: layer (?<layer>\\d{1,3}))? from (?<from>\\d{1,6})(?: to (?<to>\\d{1,6}))?)$");

export const linkOf = (interventions) => interventions.map(written).join(" and ");

function written({ off, op, at, token, role, layer, units, value, from, to }) {
  const before = off ? "off " : "";
  if (op === "cut") return `${before}cut at ${at}`;
  if (op === "token") return `${before}token at ${at} is ${encodeURIComponent(token)}`;
  const of = units === null ? "" : `.${runs(units).join(".")}`, inLayer = layer ? ` layer ${layer + 1}` : "";
  return `${before}${role}${of} ${op === "hold" ? "at" : "times"} ${Number(value.toPrecision(6))}${inLayer} from ${from}${to === null ? "" : ` to ${to}`}`;
}

// Numbers as 9-11, 14.
function runs(units) {
  const sorted = [...new Set(units)].sort((a, b) => a - b), found = [];
  for (const unit of sorted) {
    if (found.length && unit === found.at(-1)[1] + 1) found.at(-1)[1] = unit;
    else found.push([unit, unit]);
  }
  return found.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`));
}

// What a person types, as "9, 11-13"; null where it is no list of units.
export function unitsOf(typed) {
  const parts = typed.trim().split(/[\s,.;]+/).filter(Boolean), found = new Set();
  for (const part of parts) {
    const [, first, last = first] = /^(\d{1,5})(?:[-–](\d{1,5}))?$/.exec(part) ?? [];
    if (first === undefined || Number(last) < Number(first) || found.size + Number(last) - Number(first) >= UNITS_MOST) return null;
    for (let unit = Number(first); unit <= Number(last); unit++) found.add(unit);
  }
  return found.size ? [...found].sort((a, b) => a - b) : null;
}

export const typedUnits = (units) => runs(units).join(", ");

// What a link says: the interventions, and a sentence for each part of it that is none.
export function fromLink(said) {
  const found = [], problems = [], parts = said.split(" and ").filter((part) => part.trim());
  for (const part of parts.slice(0, MOST)) {
    const problem = (why) => problems.push(`The link's “${part.slice(0, 60)}” is left out: ${why}.`);
    const { groups } = FORM.exec(part.trim()) ?? {};
    if (!groups) { problem("it is no intervention"); continue; }
    const off = Boolean(groups.off), { role, op, cut, put, token } = groups;
    if (cut !== undefined) { found.push({ off, op: "cut", at: Number(cut) }); continue; }
    if (put !== undefined) { found.push({ off, op: "token", at: Number(put), token: decoded(token) }); continue; }
    const value = Number(groups.value), [from, to] = [groups.from, groups.to ?? null].map((time) => (time === null ? null : Number(time)));
    const units = groups.units ? unitsOf(groups.units) : null;
    if (!Number.isFinite(value)) problem("its value is no finite number");
    else if (groups.units && !units) problem("its units are no list");
    else if (to !== null && to < from) problem("it ends before it begins");
    else if (groups.layer === "0") problem("layers are counted from 1");
    else found.push({ off, op: op === "at" ? "hold" : "scale", role, layer: Number(groups.layer ?? 1) - 1, units, from, to, value });
  }
  if (parts.length > MOST) problems.push(`The link has more than ${MOST} interventions; the first ${MOST} are taken.`);
  return [found, problems];
}

function decoded(token) {
  try {
    return decodeURIComponent(token);
  } catch { // a % that stands alone
    return token;
  }
}

// ---- what a model makes of one -----------------------------------------------------------------------------------------

export const lookOf = (live, role) => live.roles.find((look) => look.role === role) ?? null;

// The least and the largest value of a gate or state; of one without ends of its own as far as its colours go.
export const endsOf = (live, layer, role) => live.scales[layer][role];

export const nameOf = (look, role) => (look ? `${look.label} ${look.symbol}` : role.replaceAll("_", " "));

// A time as a person sees it: tokens are counted from 0, rows of an image from 1.
export const shownTime = (time, { side }) => time + (side === null ? 0 : 1);

// What a model makes of one: [whether it skips it, a sentence why it does not do it, or not all of it]; that is empty where it
// does all. `opened` is as in reading.js.
function verdict(each, { live, reads }, count) {
  const { op, at, token, role, layer, units, value, from } = each, name = live.cell.name, skipped = (why) => [true, why], done = (why) => [false, why];
  if (op === "token" && live.side) return skipped("An image has rows, and no tokens to change.");
  if ((at ?? from) >= count) return skipped(`It begins at ${shownTime(at ?? from, live)}, behind the end of what is read.`);
  if (op === "token" && !reads.knows(token)) return done(`The model does not know “${token}”: it reads ${reads.display(reads.unknown)}.`);
  if (at !== undefined) return done("");
  const look = lookOf(live, role);
  if (!look) return skipped(`${name} has no ${nameOf(look, role)}: skipped here.`);
  if (op === "scale" && !(role in live.cell.states)) return skipped(`The next step finds only states, not the ${look.label}: skipped.`);
  if (layer >= live.tracks.length) return skipped(`This model has no layer ${layer + 1}: skipped here.`);
  const lacked = (units ?? []).filter((unit) => unit >= live.size), has = `This model has units 0 to ${live.size - 1}`;
  if (lacked.length && lacked.length === units.length) return skipped(`${has}: skipped here.`);
  if (lacked.length) return done(`${has}: without ${list(runs(lacked))}.`);
  const [least, most] = endsOf(live, layer, role);
  if (op === "hold" && look.bounded && (value < least || value > most)) return done(`A ${look.label} is ${number(least, 0)} to ${number(most, 0)}: held at ${number(bounded(each, live), 0)}.`);
  return done("");
}

const bounded = ({ layer, role, value }, live) => Math.max(endsOf(live, layer, role)[0], Math.min(endsOf(live, layer, role)[1], value));

export const whyNot = (each, opened, count) => verdict(each, opened, count)[1];

// Those that are on and that the model does not skip, as it can do them: see forcing.js.
export function applied(interventions, opened, count) {
  const { live } = opened, does = interventions.filter((each) => !each.off && !verdict(each, opened, count)[0]);
  return does.map(({ off, ...each }) => (each.op === "hold" && lookOf(live, each.role).bounded ? { ...each, value: bounded(each, live) } : each));
}

// In words; `words` are those of the reading before, as {level, column, labels}.
export function said({ op, at, token, role, layer, units, value, from, to }, live, words) {
  const time = (t) => (t < words.labels.length ? called(words, t) : `(${shownTime(t, live)})`), look = lookOf(live, role);
  if (op === "cut") return `all states cut before ${time(at)}`;
  if (op === "token") return `“${token}” in the place of ${time(at)}`;
  const of = units === null ? "all units" : units.length === 1 ? `unit ${units[0]}` : `units ${typedUnits(units)}`;
  const inLayer = live.tracks.length > 1 || layer ? `, layer ${layer + 1}` : "";
  const what = `${nameOf(look, role)} of ${of}${inLayer}`;
  const when = to === from ? `at ${time(from)}` : to === null ? (from ? `from ${time(from)} on` : "from the first on") : `from ${time(from)} to ${time(to)}`;
  const each = op === "scale" && to !== from ? `at every ${words.column} ` : ""; // what the one before made of it is scaled again
  return `${what} ${op === "hold" ? "held at" : "times"} ${number(value, Number(value.toFixed(2)) === value ? 2 : 3)} ${each}${when}`;
}
