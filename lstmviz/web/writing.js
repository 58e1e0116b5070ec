// What a model writes on: as `draw` and `LanguageModel.sample` in lstmviz/model.py.

const SPECIALS = 3; // <pad>, <unk> and <sos> are never drawn

// A generator of numbers in [0, 1): the same seed gives the same (mulberry32).
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// One token by the scores of all, ln p but for a constant; among the `topK` likeliest, where that is not 0. Below 1 the
// temperature makes the likely likelier. An error that says `notes.not_finite` or `notes.nothing_follows` where there is none.
export function sampled(scores, { temperature, topK }, random, notes) {
  const shares = Float64Array.from(scores, (score) => score / temperature);
  if (!shares.every((score) => score < Infinity)) throw new RangeError(notes.not_finite);
  shares.fill(-Infinity, 0, SPECIALS);
  const sorted = shares.toSorted(), most = sorted.at(-1), least = topK ? sorted.at(-Math.min(topK, sorted.length)) : -Infinity;
  if (most === -Infinity) throw new RangeError(notes.nothing_follows);
  let sum = 0;
  for (let id = 0; id < shares.length; id++) sum += shares[id] = shares[id] < least ? 0 : Math.exp(shares[id] - most);
  let left = random() * sum, last = 0;
  for (let id = 0; id < shares.length; id++) {
    if (!shares[id]) continue;
    last = id;
    left -= shares[id];
    if (left < 0) break;
  }
  return last;
}

// The text of a reading with one token more each time, which the reading must have read before the next is drawn.
export function* writing(reading, { count, temperature, topK, seed }) {
  const { trace, opened: { live, says } } = reading, random = seeded(seed);
  let { text } = reading;
  for (let left = Math.min(count, live.most - reading.count); left > 0; left--) {
    const nothing = !reading.count && !live.context.length; // then it goes on after the end of a line
    if (nothing) trace.add(says.end);
    const id = sampled(trace.scores(trace.count - 1), { temperature, topK }, random, live.notes);
    if (nothing) trace.keep(0);
    yield (text = says.joined(text, id === says.end ? says.newlineSign : says.tokens[id]));
  }
}
