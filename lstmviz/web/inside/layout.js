// Where the parts of the drawing of a cell lie: the belt on top; below it the gates, each in a column of its own; and at the bottom
// the vectors that they read. A pure function of what anatomy.js finds.

// Heights of the belt, the valve that writes, what the belt is normalised in, the function on the way out, the boxes, the box and the valve of a
// reset gate, the first of the vectors: in units of the drawing, which are CSS pixels where there is room for it.
export const BELT = 78, WRITES = 158, NORMED = 132, CURVED = 188, BOXES = 252, RESETS = 328, VECTORS = 336;
export const VALVE = 17, BOX = 46; // the radius of a valve; the height of a box
const RESET = 70; // what a reset gate needs between the boxes and the vectors
const LEFT = 14, BEGIN = 64, END = 74, GAP = 66, BETWEEN = 34; // where labels and lines begin, how far from the right these end; between columns, and between vectors
const BESIDE = 18; // of the middle of the candidate, where what a reset gate lets through goes up

// The width of a box: of its label, and of the curve of its function, where it has one.
export const CURVE = 42;
export const widthOf = ({ label, of }) => Math.round(24 + 8.2 * label.length + (of ? CURVE : 0));

// {width, height, body, parts, labels}: `body` is what is inside of the cell, [left, top, right, bottom]. A part is {kind, …}, and says what of it is drawn live:
//   rail      points, symbols     vectors
//   stem      points, dots, tree, symbol   from vectors to a box; what flows in it
//   peek      points, symbol, sees         from the belt to a box
//   wire      points, valve, flipped       from a box to a valve, which it opens; before “1 −” that is flipped
//   pipe      points, tree, like, end, main    what flows in it, in the colours of the symbol `like`; whether it ends in an arrow, and is the belt
//   box       x, y, label, symbol, of, inside
//   curve     x, y, label, tree, of, inside    on the way out
//   valve     x, y, valve
//   sum, cap, dot, flip, matrix, prepared   x, y, …
// A label is {kind, x, y, anchor, symbol, tree, valve, symbols}: what is written there.
export function layoutOf(found) {
  return new Plan(found).made();
}

class Plan {
  constructor(found) {
    Object.assign(this, found, { parts: [], labels: [], x: {} });
    this.rows = VECTORS + (this.look ? RESET : 0);
    this.columns();
    this.vectors();
    for (const symbol of Object.keys(this.boxes)) this.box(symbol);
    this.carrying();
    if (this.carries) this.writing();
    if (this.look) this.looking();
    if (this.show) this.showing();
  }

  made() {
    const { width, parts, labels } = this, lowest = Math.max(this.row(this.rails.at(-1)?.[0]), this.show ? VECTORS : 0);
    return { width, height: lowest + 36, body: [BEGIN + 12, 18, this.end - 14, lowest + 24], parts, labels };
  }

  add(kind, part) { this.parts.push({ kind, ...part }); }
  label(kind, x, y, anchor, said) { this.labels.push({ kind, x, y, anchor, ...said }); }

  row(symbol) { return this.rows + BETWEEN * Math.max(0, this.rails.findIndex((rail) => rail.includes(symbol))); }
  resets(symbol) { return symbol === this.look?.valve.gate && symbol !== this.keep?.gate && symbol !== this.write?.gate; } // and does nothing else
  level(symbol) { return this.resets(symbol) ? RESETS : BOXES; }
  half(symbol) { return widthOf(this.boxes[symbol]) / 2; }

  // From left to right: what keeps, what writes, what looks back, the candidate, what shows.
  columns() {
    const { x, boxes, belt, before, keep, write, look, candidate, show, rails, prepared } = this;
    this.tapped = !show && rails.some((rail) => rail.includes(before)); // vectors that come from the belt
    let edge = BEGIN + (this.tapped ? 34 : 0) + (prepared.length ? 66 : 0);
    const peeked = (symbol) => Object.values(boxes).some(({ peeks }) => peeks.includes(symbol));
    const column = (width) => (edge += GAP + width) - GAP / 2 - width / 2;
    if (peeked(before)) edge += 30;
    if (!this.carries) edge += 90; // to see that nothing comes over
    for (const valve of [keep, write, look?.valve]) if (valve?.gate) x[valve.gate] ??= column(2 * this.half(valve.gate));
    else if (valve && valve === keep) this.keepAt = column(2 * VALVE); // always open as far
    this.keepAt ??= x[keep?.gate];
    if (write?.gate && write.gate === keep?.gate) edge += 44; // for “1 −”
    this.at = x[candidate] = column(2 * this.half(candidate));
    if (peeked(belt)) edge += 44;
    if (show?.valve?.gate) x[show.valve.gate] ??= column(2 * this.half(show.valve.gate));
    if (show) this.out = column(widthOf(show.through[0] ?? { label: "" }));
    this.end = show ? this.out + 78 : this.at + 118;
    this.width = this.end + END;
  }

  vectors() {
    const { x, boxes, rails, look, past, candidate, prepared, tapped } = this, tap = BEGIN + 38;
    for (const rail of rails) {
      const y = this.row(rail[0]), ofBelt = tapped && rail.includes(past);
      const last = Math.max(...Object.keys(boxes).filter((symbol) => boxes[symbol].reads.some((each) => rail.includes(each)))
        .map((symbol) => x[symbol] - (look && symbol === candidate ? (rail.includes(past) ? BESIDE : -BESIDE) : 0)));
      this.add("rail", { points: ofBelt ? [[tap, BELT], [tap, y], [last, y]] : [[BEGIN, y], [last, y]], symbols: rail });
      if (ofBelt) this.add("dot", { x: tap, y: BELT });
      else this.label("end", LEFT, y, "start", { symbols: rail });
    }
    const low = this.row(rails.at(-1)?.[0]);
    if (prepared.length) this.add("prepared", { x: (tapped ? tap : BEGIN) + 50, y: (this.rows + low) / 2, height: low - this.rows + 40, symbols: prepared });
  }

  // A gate or the candidate, with what it reads, and what it sees of the belt.
  box(symbol) {
    const { x, boxes, look, past, candidate, before, keepAt, at } = this, { label, of, inside, reads, peeks } = boxes[symbol];
    const y = this.level(symbol), low = y + BOX / 2, top = y - BOX / 2, middle = x[symbol], left = middle - this.half(symbol);
    const looked = look && symbol === candidate, rows = [...new Set(reads.map((each) => this.row(each)))].filter((row) => !looked || row !== this.row(past));
    const stem = middle + (looked ? BESIDE : 0);
    if (rows.length) this.add("stem", { points: [[stem, Math.max(...rows)], [stem, low]], dots: rows, symbol, tree: inside });
    this.add("box", { x: middle, y, label, symbol, of, inside });
    if (inside !== null) this.label("quiet", stem + 8, low + 16, "start", { tree: inside });
    for (const sees of peeks) {
      const from = sees === before ? Math.min(keepAt ?? at, ...Object.values(x)) - 58 : at + 72, bend = left - 18, over = top - 22;
      this.add("peek", { points: bend - from < 20 ? [[from, BELT], [from, y], [left, y]] : [[from, BELT], [from, over], [bend, over], [bend, y], [left, y]], symbol, sees });
    }
  }

  // The belt: what was held, what is kept of it, what is held now.
  carrying() {
    const { belt, before, keep, keepAt, at, end, tapped, carries, candidate } = this;
    const pipe = (points, tree, more) => this.add("pipe", { points, tree, like: belt, main: true, ...more });
    this.label("end", LEFT, BELT, "start", { symbol: before, tree: before });
    this.label("end", end + 12, BELT, "start", { symbol: belt, tree: belt });
    if (!carries) {
      const stop = BEGIN + (tapped ? 84 : 44);
      pipe([[BEGIN, BELT], [stop, BELT]], before);
      this.add("cap", { x: stop, y: BELT });
      return pipe([[at, BOXES - BOX / 2], [at, BELT], [end, BELT]], candidate, { end: true });
    }
    pipe([[BEGIN, BELT], [keep ? keepAt : at, BELT]], before);
    if (keep) {
      pipe([[keepAt, BELT], [at, BELT]], keep.passed);
      this.label("flow", (keepAt + at) / 2, BELT + 24, "middle", { tree: keep.passed });
      this.valve(keep, "keeps", keepAt, BELT, [[keepAt, BOXES - BOX / 2], [keepAt, BELT]], [keepAt, (WRITES + BELT) / 2]);
      this.label("valve", keepAt, BELT - 36, "middle", { valve: keep });
    }
    pipe([[at, BELT], [end, BELT]], belt, { end: true });
    this.add("sum", { x: at, y: BELT, symbol: belt });
  }

  // What comes to the belt.
  writing() {
    const { x, write, candidate, at, keep, belt } = this, top = BOXES - BOX / 2, pipe = (points, tree, like) => this.add("pipe", { points, tree, like });
    if (!write) {
      this.label("value", at + 14, WRITES, "start", { symbol: candidate, tree: candidate });
      return pipe([[at, top], [at, BELT]], candidate, belt);
    }
    pipe([[at, top], [at, WRITES]], candidate, candidate);
    pipe([[at, WRITES], [at, BELT]], write.passed, belt);
    this.label("flow", at + 14, (WRITES + BELT) / 2, "start", { tree: write.passed });
    this.label("value", at + 14, top - 18, "start", { symbol: candidate, tree: candidate });
    const from = x[write.gate], branches = write.gate === keep?.gate, room = write.flipped ? from + 62 : from;
    this.valve(write, "writes", at, WRITES, [...(branches ? [] : [[from, top]]), [from, WRITES], [at, WRITES]], [from + 34, WRITES]);
    if (branches) this.add("dot", { x: from, y: WRITES, symbol: write.gate });
    this.label("valve", write.gate ? (room + at - VALVE) / 2 : at - VALVE - 8, write.gate ? WRITES - 17 : WRITES, write.gate ? "middle" : "end", { valve: write });
  }

  // What the candidate sees of the past.
  looking() {
    const { x, look: { valve, matrix, first }, at, past, candidate } = this, beside = at - BESIDE, low = BOXES + BOX / 2, row = this.row(past);
    this.add("stem", { points: [[beside, row], [beside, low]], dots: [row], symbol: candidate, tree: valve.passed });
    const [height, other] = first ? [RESETS, RESETS + 48] : [RESETS + 30, RESETS - 18];
    if (matrix) this.add("matrix", { x: beside, y: other, symbol: matrix });
    const side = x[valve.gate] + this.half(valve.gate), level = this.level(valve.gate), corner = side + 20;
    this.valve(valve, "looks_back", beside, height, level === height ? [[side, height], [beside, height]] : [[side, level], [corner, level], [corner, height], [beside, height]], [side + 44, height]);
    this.label("valve", (side + beside - VALVE + (level === height ? 0 : 20)) / 2, height - 17, "middle", { valve });
  }

  // From the belt, or the candidate, to what is shown.
  showing() {
    const { x, belt, at, out, end, show: { valve, source, through, shown, narrowed } } = this, ofBelt = source === belt;
    const from = ofBelt ? [out, BELT] : [at, CURVED], pipe = (points, tree, more) => this.add("pipe", { points, tree, like: shown, ...more });
    let last = from, flows = source, like = ofBelt ? belt : source;
    through.forEach(({ label, tree, of }, k) => {
      const stop = [out, k === through.length - 1 ? CURVED : NORMED];
      pipe([last, ...(last[0] !== out && last[1] !== stop[1] ? [[out, last[1]]] : []), stop], flows, { like });
      this.add("curve", { x: stop[0], y: stop[1], label, tree, of, inside: flows });
      [last, flows, like] = [stop, tree, shown];
    });
    this.add("dot", { x: from[0], y: from[1] });
    pipe([last, [out, BOXES]], flows, { like });
    if (through.length) this.label("flow", out + 14, (CURVED + BOXES) / 2, "start", { tree: flows });
    const leaves = narrowed ? VECTORS - 40 : VECTORS;
    pipe([[out, BOXES], [out, leaves], ...(narrowed ? [] : [[end, VECTORS]])], narrowed ? valve?.passed ?? flows : shown, { end: !narrowed });
    if (narrowed) {
      this.add("rail", { points: [[out, leaves], [out, VECTORS], [end, VECTORS]], symbols: [shown], end: true });
      this.add("matrix", { x: out, y: leaves, symbol: narrowed });
    }
    if (valve) {
      const side = x[valve.gate] + (valve.gate && this.half(valve.gate));
      this.valve(valve, "shows", out, BOXES, [[side, BOXES], [out, BOXES]]);
      if (valve.gate) this.label("valve", (side + out - VALVE) / 2, BOXES - 18, "middle", { valve });
      else this.label("valve", out - VALVE - 8, BOXES, "end", { valve });
    }
    this.label("end", end + 12, VECTORS, "start", narrowed ? { symbols: [shown] } : { symbol: shown, tree: shown });
  }

  // A valve, and the wire from the box that opens it, with “1 −” on the way where it opens as that shuts.
  valve(valve, does, x, y, points, flip) {
    if (valve.flipped) {
      this.add("wire", { points: [...points.slice(0, -1), flip], valve, flipped: true });
      this.add("wire", { points: [flip, points.at(-1)], valve });
      this.add("flip", { x: flip[0], y: flip[1], valve });
    } else if (valve.gate) this.add("wire", { points, valve });
    this.add("valve", { x, y, valve, does });
  }
}
