// What is said of a text or an image that was read: the sentences are those of lstmviz/explain/notes.py.

import { MANY, UNKNOWN_MOST } from "./constants.js";

// A sentence with what stands in its {places}; other braces, which a label may have, stay.
export const filled = (sentence, places) =>
  Object.entries(places).reduce((said, [name, what]) => said.replaceAll(`{${name}}`, () => what), sentence);
const grouped = (count) => count.toLocaleString("en");

// [kind, sentence] for each thing, as `notes_on` says them of a text, and `notes_on_image` of an image, of which `shows` is what
// it shows, where that is known.
export function notesOn(reading, shows = null) {
  const { opened: { live, reads, asked }, text, ids, nll, dropped, cut } = reading, { guide, examples, notes, side } = live;
  const said = guide ? [["note", guide]] : [], warn = (name, places = {}) => said.push(["warning", filled(notes[name], places)]);
  if (side) {
    if (shows !== null && !reads.ids.has(shows)) warn("strange", { label: shows });
    return said;
  }
  if (!ids.length) return [["info", notes.nothing]];
  for (const example of examples) if (example.text === text) said.push(["look", example.look]);
  if (dropped) warn(cut ? "longer" : "dropped", { count: grouped(ids.length + dropped), read: grouped(ids.length) });
  const isUnknown = (id) => id === reads.ids.get("<unk>"), typed = ids.slice(live.begins ? 0 : 1);
  const unknown = typed.filter(isUnknown).length, predicted = ids.filter((_, t) => Number.isFinite(nll[t]));
  if (typed.length && unknown === typed.length) warn("all_unknown");
  else if (!asked && ids.length >= MANY && predicted.filter(isUnknown).length >= UNKNOWN_MOST * Math.max(1, predicted.length))
    warn("mostly_unknown", { unknown });
  return said;
}
