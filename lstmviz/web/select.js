// Who is selected, and which keys change that.

import { clamp } from "./view.js";

const REST = 120; // milliseconds, after which the server hears of it

// The last of click, key and link wins. `at` is what is selected: {time, unit, layer} or {time, unit, model}.
export class Selection {
  constructor(rested) {
    this.rested = rested; // what is done once the keys rest
    this.forget();
  }

  forget() {
    clearTimeout(this.timer);
    this.at = this.told = this.wanted = null; // wanted: a time that is to be selected once it is read
    this.sent = []; // what the server was told, from what it last repeated on
  }

  // What the server says wins only if it is neither what it said before nor what it was told: that it may repeat late, when
  // keys have moved on. Otherwise, where the newest token was selected (it was at the time `before`), the selection stays
  // with the newest.
  hear(said, last, before = null) {
    const asked = JSON.stringify(said), echo = this.sent.indexOf(asked);
    if (echo >= 0) this.sent = this.sent.slice(echo);
    if (asked !== this.told && echo < 0) Object.assign(this, { at: { ...said }, sent: [] });
    else if (this.at.time === before) this.keep({ time: last });
    this.told = asked;
  }

  // The same where the page makes the view itself: of what the server says only what is new of it wins, field by field.
  learn(said) {
    const asked = JSON.stringify(said), echo = this.sent.indexOf(asked), told = JSON.parse(this.told ?? "{}");
    if (echo >= 0) this.sent = this.sent.slice(echo);
    else if (asked !== this.told) {
      this.keep(Object.fromEntries(Object.entries(said).filter(([name, value]) => value !== told[name])));
      this.sent = [];
    }
    this.told = asked;
  }

  // What the server does not know yet: what a key chose. The time is −1 for the newest, whichever that will be. Null where it
  // knows all.
  untold(last) {
    const said = ({ time, ...others }) => JSON.stringify({ time: time === last ? -1 : time, ...others }), now = said(this.at);
    if (said(JSON.parse(this.sent.at(-1) ?? this.told)) === now) return null;
    this.sent.push(now);
    return JSON.parse(now);
  }

  keep(change) { this.at = { ...this.at, ...change }; }

  choose(change) {
    this.keep(change);
    this.wanted = null;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.sent.push(JSON.stringify(this.at));
      this.rested(this.at);
    }, REST);
  }
}

// What a key chooses of the tokens, the last of which is `last`, or of the units in the order of their rows; else nothing.
export function step(key, { time, unit }, last, units) {
  const to = (next) => ({ time: clamp(next, 0, last) });
  const down = (by) => (units.length ? { unit: units[clamp(units.indexOf(unit) + by, 0, units.length - 1)] } : null);
  switch (key) {
    case "ArrowLeft": return to(time - 1);
    case "ArrowRight": return to(time + 1);
    case "Home": return to(0);
    case "End": return to(last);
    case "ArrowUp": return down(-1);
    case "ArrowDown": return down(1);
    case "PageUp": return down(-10);
    case "PageDown": return down(10);
    default: return null;
  }
}

export const ZOOMS = { "+": [1, 2], "-": [1, 0.5], ">": [2, 1], "<": [0.5, 1], 0: [0, 0] }; // columns, rows; 0: as at first
