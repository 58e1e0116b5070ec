// Where things lie: arithmetic on views. A view is a plain value and is never changed in place: `left` and `right` are where
// the columns begin and end at most, `column` is how wide each is, `scrolled` how much of them is hidden at the left, `dpr`
// the device pixels of a CSS pixel. Of the tokens `from` … `to` are shown, and their columns end at `end`. Where something
// else begins at a column, a gap parts it from those before: `gap` is {at, width}. All are CSS pixels; columns and rows are
// whole device pixels.

export const RIGHT = 60, GAP = 10; // CSS pixels: the gutter at the right, and what stands between panels
const ROW = 5, FEWEST = 16; // the least height of a row that can be told from the next, and as many are shown at least
const SIN = Math.sin(Math.PI / 3), TAN = Math.tan(Math.PI / 3); // slanted words stand at 60 degrees

export const clamp = (x, low, high) => Math.max(low, Math.min(high, x));

// ---- columns ---------------------------------------------------------------------------------------------------------

// Columns for so many tokens, the widest of which is `widest`: they fit the room if labels stay legible, else their smallest
// width. Words that do not fit their column are slanted: by `lean` over the height of their `strip`.
export function columns(tokens, widest, room, zoom, dpr) {
  const narrowest = widest > 16 ? 18 : 12;
  const fit = clamp(room / tokens, narrowest, Math.max(44, widest + 14));
  const column = Math.max(1, Math.floor(fit * zoom * dpr)) / dpr;
  const slanted = widest + 4 > column && column >= 13;
  const strip = slanted ? Math.ceil(Math.min(widest, 84) * SIN + 14) : 26;
  return { column, strip, lean: slanted ? strip / TAN : 0 };
}

export const slantedRoom = (strip) => (strip - 12) / SIN; // for a word along its slant

// How far a column is from the first one, and the column so far from it; `round` says which, where that is between two.
export const along = ({ column, gap }, time) => time * column + (gap && time >= gap.at ? gap.width : 0);
function columnAt({ column, gap }, far, round) {
  const beyond = gap && far > gap.at * column;
  return beyond ? Math.max(gap.at, round((far - gap.width) / column)) : round(far / column);
}

// The view after its columns were scrolled.
export function scrolledTo(view, tokens, scrolled) {
  const from = clamp(columnAt(view, scrolled, Math.floor), 0, tokens - 1);
  const to = clamp(columnAt(view, scrolled + view.right - view.left, Math.ceil), from + 1, tokens);
  const moved = { ...view, scrolled, from, to };
  return { ...moved, end: Math.min(view.right, x(moved, tokens)) };
}

// Of a view only the columns `begin` … `end`, as one of its own; null where none of them is to be seen.
export function partOf(view, { begin, end }) {
  const from = Math.max(view.from, begin), to = Math.min(view.to, end);
  if (from >= to) return null;
  const left = Math.max(view.left, x(view, begin)), right = Math.min(view.right, x(view, end - 1) + view.column);
  return { ...view, from, to, left, right, end: right, scrolled: view.scrolled + left - view.left };
}

// Where a token's column begins, and which token's column holds a place.
export const x = (view, time) => view.left + Math.round((along(view, time) - view.scrolled) * view.dpr) / view.dpr;
export const timeAt = (view, place) => columnAt(view, place - view.left + view.scrolled, Math.floor);

// How far a slanted token of the strip at the top has moved right at this height.
export const leanAt = ({ strip, lean }, y) => (y >= 0 && y < strip ? lean * (1 - y / strip) : 0);

// How far the columns are scrolled in their element. Where all of them fit it is not asked, since to answer that the browser
// lays out the whole page, which it does in the next frame anyway.
export const scrolls = (view, tokens) => along(view, tokens) > view.right - view.left;
export const scrolledIn = (element, view, tokens) => (scrolls(view, tokens) ? element.scrollLeft : 0);

// How far to scroll so that a token is in view; nothing moves where it is.
export function revealed(view, time, scrolled) {
  const { left, right, column } = view, room = right - left, begin = along(view, time);
  if (begin + column > Math.min(scrolled, begin) + room) return begin + column - room;
  return Math.min(scrolled, begin);
}

// Another zoom of columns that are `column` wide at this one: none gets narrower than `least` or wider than 128.
export const zoomed = (zoom, by, column, least) => clamp(zoom * by, least / (column / zoom), 128 / (column / zoom));

// ---- rows ------------------------------------------------------------------------------------------------------------

// The units of a panel of so many pixels: all, or of those that tell most (named in that order) as many as can be told
// apart. The selected one is among them, wherever it stands; null where none is.
export function chosen(order, telling, share, selected) {
  if (!telling) return order;
  const first = telling.filter((unit) => unit !== selected);
  if (selected !== null) first.unshift(selected);
  const shown = new Set(first.slice(0, clamp(Math.floor(share / ROW), FEWEST, telling.length)));
  return order.filter((unit) => shown.has(unit));
}

// Whole device pixels a row, or whole rows a pixel: either way no unit is drawn larger than another. `pitch` is in device
// pixels; `rows` of them are in view.
export function rows(count, share, zoom, dpr) {
  const whole = (pitch) => (pitch > 0.75 ? Math.max(1, Math.round(pitch)) : 1 / Math.round(1 / pitch));
  const fitted = whole((share * dpr) / count), height = Math.ceil(count * fitted - 1e-6), pitch = whole(fitted * zoom);
  return { height: height / dpr, pitch, rows: Math.min(count, Math.max(1, Math.floor(height / pitch + 1e-6))) };
}

export const pool = (pitch) => (pitch < 1 ? Math.round(1 / pitch) : 1); // units whose mean is a line

// The units of the line at this height of a place {y, units, pitch, rows, first}, and the row of the first of them.
export function lineAt({ y, units, pitch, rows, first }, at, dpr) {
  const several = pool(pitch), row = first + several * Math.floor(((at - y) * dpr) / Math.max(1, pitch));
  return { row, units: units.slice(row, Math.min(row + several, first + rows)) };
}
