// The rows of an embedding, a vector a token: which are near each other, and where all of them lie in a plane.

const SEEN = 2000; // rows, the commonest, of which the plane is made
const ROUNDS = 60; // of the power iteration
export const FIRST = 4; // tokens of a vocabulary that stand for none

// `weight` is { values, rows, columns }.
export class Embedding {
  constructor({ values, rows, columns }) {
    Object.assign(this, { values, rows, columns, known: new Map() });
    this.lengths = Float64Array.from({ length: rows }, (_, id) => Math.sqrt(dot(this.row(id), this.row(id))) || 1);
  }

  row(id) { return this.values.subarray(id * this.columns, (id + 1) * this.columns); }

  // The k tokens of the largest cosine with one, the largest first, without itself and those that stand for none: { id, cosine }.
  nearest(id, k) {
    if (this.known.get(id)?.k === k) return this.known.get(id).found;
    const own = this.row(id), found = [];
    let least = -Infinity;
    for (let other = FIRST; other < this.rows; other++) {
      if (other === id) continue;
      const cosine = dot(own, this.row(other)) / (this.lengths[id] * this.lengths[other]);
      if (found.length === k && !(cosine > least)) continue;
      let place = found.length;
      while (place && found[place - 1].cosine < cosine) place--;
      found.splice(place, 0, { id: other, cosine });
      if (found.length > k) found.pop();
      least = found.at(-1).cosine;
    }
    if (this.known.size > 200) this.known.clear();
    this.known.set(id, { k, found });
    return found;
  }

  // Where every token lies on the two principal components of the commonest: Float64Array (rows × 2). Made once.
  get plane() {
    return (this.places ??= projected(this));
  }
}

function dot(a, b) {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
  return sum;
}

// The principal components by power iteration: each is the direction in which what the ones before leave varies most.
function projected({ values, rows, columns }) {
  const from = Math.min(FIRST, rows - 1), count = Math.min(rows - from, SEEN), mean = new Float64Array(columns);
  for (let id = from; id < from + count; id++) for (let k = 0; k < columns; k++) mean[k] += values[id * columns + k] / count;
  const along = (id, direction) => { // how far a row is from the mean, in a direction
    let sum = 0;
    for (let k = 0; k < columns; k++) sum += (values[id * columns + k] - mean[k]) * direction[k];
    return sum;
  };
  const found = [];
  for (let component = 0; component < 2; component++) {
    let direction = Float64Array.from({ length: columns }, (_, k) => Math.cos(1 + k * (component + 1))); // any that is not at a right angle to it
    for (let round = 0; round < ROUNDS; round++) {
      const next = new Float64Array(columns);
      for (let id = from; id < from + count; id++) {
        const far = along(id, direction);
        for (let k = 0; k < columns; k++) next[k] += far * (values[id * columns + k] - mean[k]);
      }
      for (const other of found) {
        const share = dot(next, other);
        for (let k = 0; k < columns; k++) next[k] -= share * other[k];
      }
      const length = Math.sqrt(dot(next, next));
      if (!(length > 0)) break; // nothing is left
      direction = next.map((value) => value / length);
    }
    const most = direction.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
    found.push(direction.map((value) => value * Math.sign(most || 1))); // the same way whatever it began with
  }
  const places = new Float64Array(2 * rows);
  for (let id = 0; id < rows; id++) found.forEach((direction, k) => { places[2 * id + k] = along(id, direction); });
  return places;
}
