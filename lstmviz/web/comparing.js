// Several models that read one text or image, side by side: lstmviz/explain/alignment.py, measures.py and comparison.py, key by
// key. `live` is a LiveComparison of lstmviz/wire.py, and `readings` are those of its models: see reading.js.

import { MANY, NEWLINE_SIGN, UNKNOWN_MOST } from "./constants.js";
import { answerOf, columnsOf, likeliest, panelsOf, rowsOf, unknownIn } from "./drawn.js";
import { filled } from "./notes.js";
import { visible, wellFormed } from "./vocabulary.js";
import { clamp } from "./view.js";

const EOS = "<eos>", UNK = "<unk>";

// What compare.js draws of a message: its header, and a gate map's data a model. {time, unit, model} are selected. Of a text that
// is read in parts the `axis` is that of all, and what all models have read of it is shown.
export function compared(live, readings, selection, axis = sharedAxis(readings)) {
  const { by, before } = axis, count = readOf(axis, readings), labels = axis.signs.slice(0, count);
  const at = axis.at.map((each) => each.slice(0, count)), unknown = readings.map(unknownIn);
  const measured = live.models.map((model, k) => measures(model, readings[k], at[k], by));
  const header = {
    ...columnsOf(readings[0]), ...(by === "character" && { level: "char", noun: "character" }), ...live,
    labels, count: count - before, selection, note: noteOn(live, readings, by),
    unknown: labels.map((_, a) => unknown.some((those, k) => at[k][a] >= 0 && those[at[k][a]])),
    models: live.models.map((model, k) => ({
      ...model, at: at[k], loss: measured[k].loss(), differences: differencesOf(live, readings, k),
    })),
    charts: live.charts.map((chart) => withLines(chart, measured.map((of) => of[chart.name]()), readings[0], by)),
  };
  return [header, readings.map((_, k) => partOf(live, readings, k))];
}

// What is said over them: what to look for, and whether all of the text is shown.
export function notesOn(live, readings) {
  const { dropped, ids } = readings.reduce((most, reading) => (reading.dropped > most.dropped ? reading : most));
  const [left, count] = [dropped, ids.length].map((number) => number.toLocaleString("en"));
  return dropped ? [...live.guides, ["warning", filled(live.sentences["too long"], { dropped: left, count })]] : live.guides;
}

function partOf(live, readings, k) {
  const reading = readings[k], { track, rows, root } = live.models[k], layers = track === null ? [] : [track];
  const panels = panelsOf(reading, layers, Object.keys(rows), live.scales, rows);
  return { layers, panels, top: likeliest(reading, 3), ...rowsOf(readings[root], layers, live.order) };
}

// ---- one axis --------------------------------------------------------------------------------------------------------

// The positions that all models share, their tokens or, where they split the text differently, its characters: their `signs`, of
// which the first, if `before` is 1, stands before what was typed; `by` what they are; and `at` each model's token at each, -1
// where none stands.
export function sharedAxis(readings) {
  const [first] = readings;
  if (first.image) return { signs: first.pieces, before: 0, at: readings.map(() => first.pieces.map((_, t) => t)), by: "row" };
  const begun = readings.map((reading) => reading.before), whole = readings.map(({ ids }, k) => ids.length - begun[k]);
  const before = begun.some(Boolean) ? [NEWLINE_SIGN] : [];
  const alike = readings.every(({ split }) => split.length === first.split.length && split.every((piece, t) => piece === first.split[t]));
  let signs, tokens;
  if (alike) {
    const places = Array.from({ length: Math.min(...whole) }, (_, t) => t);
    signs = places.map((t) => signAt(first, t + begun[0]));
    tokens = begun.map((skip) => places.map((t) => t + skip));
  } else {
    const characters = Array.from(wellFormed(first.text)), starts = readings.map((reading) => startsOf(characters, reading));
    const shown = characters.slice(0, Math.min(...starts.map((each, k) => each[whole[k]] ?? characters.length)));
    signs = shown.map((character) => visible(character));
    tokens = starts.map((each, k) => {
      let t = -1;
      return shown.map((_, place) => { while (each[t + 1] <= place) t++; return t + begun[k]; });
    });
  }
  const at = tokens.map((each, k) => [...before.map(() => (begun[k] ? 0 : -1)), ...each]);
  return { signs: [...before, ...signs], before: before.length, at, by: alike ? "token" : "character" };
}

// How many positions of an axis all have read; none where one has read nothing.
export const readOf = ({ at }, readings) => Math.min(...readings.map(({ count }, k) => {
  const end = count ? at[k].findIndex((t) => t >= count) : 0;
  return end < 0 ? at[k].length : end;
}));

// A token as it can be seen: a known one as the vocabulary writes it, an unknown one as it was typed.
const signAt = ({ ids, pieces, signs, opened: { reads } }, t) => (ids[t] === reads.ids.get(UNK) ? pieces[t] : signs[t]);

// At which character each piece begins; white space belongs to the piece before it. Both are compared with all accents apart.
function startsOf(characters, { split, opened: { reads: { newlineSign, spaceSign } } }) {
  const apart = characters.map((character) => character.normalize("NFD")), text = apart.join("");
  const origin = apart.flatMap((form, i) => Array(form.length).fill(i)).concat(characters.length);
  const signs = { [EOS]: ["\n", newlineSign], "\n": [newlineSign], " ": [spaceSign] };
  let place = 0;
  return split.map((piece) => {
    // A line's end is a token of its own; so is WikiText's @-@, which stands for the - that was typed.
    const forms = [piece.normalize("NFD"), piece.replace(/^@+|@+$/g, ""), ...(signs[piece] ?? [])];
    let found = Infinity, length = 0;
    for (const form of forms) {
      const at = form ? text.indexOf(form, place) : -1;
      if (at >= 0 && at < found) [found, length] = [at, form.length];
    }
    if (found === Infinity) found = place;
    place = found + length;
    return origin[found];
  });
}

// ---- numbers along it ------------------------------------------------------------------------------------------------

// Of each chart that a model may have a function that gives its values, one a position: NaN where there is none, and none at
// all where its cell has nothing of the kind.
function measures({ track, share }, reading, at, by) {
  const { opened: { asked, live: { size, does } }, trace, nll, count } = reading;
  const placed = (of) => at.map((t) => (t < 0 ? NaN : of(t)));
  const kept = () => (does.keeps === null ? null : trace.worked(track, does.keeps)); // (T, H)
  const shares = () => (share === "keeps" ? kept() : share && trace.values(track, share));
  const overUnits = (what, of) => {
    const values = track === null ? null : what();
    if (!values) return [];
    const each = Array.from({ length: count }, (_, t) => of(values.subarray(t * size, (t + 1) * size)));
    return placed((t) => each[t]);
  };
  const loss = () => {
    const spread = new Float64Array(count); // over so many characters a token's loss is spread
    for (const t of at) if (t >= 0) spread[t]++;
    return placed((t) => nll[t] / (by === "character" && !asked ? spread[t] : 1));
  };
  return {
    loss,
    perplexity: () => {
      let sum = 0, known = 0;
      return loss().map((value) => (Number.isFinite(value) ? Math.exp((sum += value) / ++known) : NaN));
    },
    probability: () => { const { probability } = answerOf(reading); return placed((t) => probability[t]); },
    mean: () => overUnits(shares, (units) => meanOver(units, (value) => value)),
    "below 0.1": () => overUnits(shares, (units) => meanOver(units, (value) => (Number.isFinite(value) ? value < 0.1 : NaN))),
    "above 0.9": () => overUnits(shares, (units) => meanOver(units, (value) => (Number.isFinite(value) ? value > 0.9 : NaN))),
    "half-life": () => overUnits(kept, halfLife),
  };
}

function meanOver(units, of) {
  let sum = 0;
  for (const value of units) sum += of(value);
  return sum / units.length;
}

// After how many tokens like this one half of what the median unit held would be left.
function halfLife(units) {
  if (units.some(Number.isNaN)) return NaN;
  const sorted = units.toSorted(), half = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(half)] + sorted[Math.ceil(half)]) / 2;
  return Math.log(0.5) / Math.log(clamp(median, 1e-6, 1 - 1e-6));
}

function withLines(chart, lines, { right }, by) {
  const known = lines.map((line) => line.filter(Number.isFinite)).filter((line) => line.length);
  const tops = { loss: (line) => Math.max(...line), perplexity: (line) => 3 * line.at(-1) }; // as it has settled
  const high = chart.name in tops ? Math.max(chart.high, ...known.map((line) => Math.ceil(tops[chart.name](line)))) : chart.high;
  const unit = chart.guessed && right === null ? chart.guessed : filled(chart.unit, { by });
  return { ...chart, unit, high, lines, beside: [] };
}

// How much model k is other than the reference, where that is shown: the largest difference of every role that both have.
function differencesOf(live, readings, k) {
  const { root, track } = live.models[k], [a, b] = [readings[live.reference], readings[k]];
  if (!live.difference || root !== live.reference || track === null || a === b || a.count !== b.count) return {};
  const most = (role) => {
    const [x, y] = [a, b].map(({ trace }) => trace.values(track, role));
    return x.reduce((found, value, i) => Math.max(found, Math.abs(y[i] - value) || 0), 0); // no NaN counts
  };
  const roles = ({ opened }) => opened.live.roles.map(({ role }) => role), both = roles(a).filter((role) => roles(b).includes(role));
  return Object.fromEntries(both.map((role) => [role, most(role)]));
}

// ---- what is said ----------------------------------------------------------------------------------------------------

function noteOn({ models, sentences }, readings, by) {
  const low = [], unknown = [];
  readings.forEach((reading, k) => {
    const { ids, nll, count, opened: { asked, reads } } = reading, { title } = models[k], unk = reads.ids.get(UNK);
    const predicted = ids.slice(0, count).filter((_, t) => asked || Number.isFinite(nll[t]));
    const share = predicted.filter((id) => id === unk).length / Math.max(1, predicted.length);
    if (!asked && count >= MANY && share >= UNKNOWN_MOST) low.push(title);
    if (ids.includes(unk)) unknown.push(`${title} (${share ? `${(100 * Math.max(share, 0.001)).toFixed(1)}%` : "no"} ${UNK})`);
  });
  const of = (name, whom) => (whom.length ? filled(sentences[name], { models: whom.join(", ") }) : "");
  const notes = [of("mostly unknown", low), sentences[by === "character" ? "by characters" : "trained apart"], of("unknown", unknown)];
  return [...notes, sentences.difference].filter(Boolean).join(" · ");
}
