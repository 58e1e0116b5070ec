// Who wrote what is held: a memory that is a gated sum, taken apart as lstmviz/explain/memory.py does it. The reasons are there.

//   m_t = k_t ⊙ m_{t−1} + w_t = Σ_{j ≤ t} (Π_{j < s ≤ t} k_s) ⊙ w_j + (Π_{s ≤ t} k_s) ⊙ m_0
//
// `held`, `kept` and `written` are m, k and w of H = `size` units, (T × H), column behind column.
export class Memory {
  constructor(held, kept, written, size) {
    Object.assign(this, { held, kept, written, size, count: held.length / size });
  }

  // What is left at a time of what each token up to then wrote, of a unit: (time + 1,).
  terms(time, unit) {
    const { kept, written, size } = this, left = new Float64Array(time + 1);
    for (let j = time, share = 1; j >= 0; j--) {
      left[j] = share * written[j * size + unit];
      share *= kept[j * size + unit];
    }
    return left;
  }

  // The same as Euclidean norms over all units.
  norms(time) {
    const { kept, written, size } = this, left = new Float64Array(time + 1), share = new Float64Array(size).fill(1);
    for (let j = time; j >= 0; j--) {
      let sum = 0;
      for (let k = 0, at = j * size; k < size; k++, at++) {
        sum += (share[k] * written[at]) ** 2;
        share[k] *= kept[at];
      }
      left[j] = Math.sqrt(sum);
    }
    return left;
  }

  // What is left at a time of the state before the first token, of a unit. The trace does not have m_0, but of it what the first
  // token left: k_1 ⊙ m_0 = m_1 − w_1.
  begun(time, unit) {
    const { held, kept, written, size } = this;
    let left = held[unit] - written[unit];
    for (let s = 1; s <= time; s++) left *= kept[s * size + unit];
    return left;
  }

  // After how many tokens half of what each unit has written is gone, at the even rate at which as much is left in the end: (H,).
  // 0 where it was once erased, ∞ where all is kept, NaN where there is but one token.
  halfLives() {
    const { kept, size, count } = this, lost = new Float64Array(size); // −Σ ln k
    for (let at = size; at < kept.length; at++) lost[at % size] -= Math.log(kept[at]);
    return lost.map((sum) => (count < 2 ? NaN : Math.LN2 / Math.abs(sum / (count - 1))));
  }
}

// Who wrote what a layer of a `Trace` (engine.js) holds; null where that is no such sum, or nothing was read. It is good until the
// trace reads on.
export function memoryIn(trace, track) {
  const { does, cell: { symbols } } = trace.model.live;
  if (!does.keeps || !does.writes || !("candidate" in symbols) || !trace.count) return null;
  const [held, kept, written] = [does.holds, does.keeps, ["*", does.writes, symbols.candidate]].map((tree) => trace.worked(track, tree));
  const { size } = trace.model.live, exact = new Float64Array(written);
  // Behind the first column, where what was held before is known, what is written is the difference: so the terms sum to what is
  // held, however the trace is rounded.
  for (let at = size; at < held.length; at++) exact[at] = held[at] - kept[at] * held[at - size];
  return new Memory(held, kept, exact, size);
}
