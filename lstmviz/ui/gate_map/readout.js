// The numbers of one token and one unit, as the gate map on the same page announces them; the server takes no part.

const NEXT = { light: "#2563eb", dark: "#60a5fa" };

const percent = (share) => `${Math.round(share * 100)}\u00a0%`;
const signed = (value) => (value >= 0.005 ? "+" : "") + number(value);

// A bar from the left, or for signed values from the middle.
function bar(share, colour, fromMiddle = false) {
  const fill = make("div", "fill"), size = Math.min(1, Math.abs(share) || 0) * (fromMiddle ? 50 : 100);
  Object.assign(fill.style, { background: colour, width: `${size}%`, left: `${fromMiddle ? (share < 0 ? 50 - size : 50) : 0}%` });
  return make("div", "track", "", fromMiddle ? [fill, make("div", "middle")] : [fill]);
}

// What the unit did at this token, in one sentence.
function sentence({ roles, time }) {
  const now = Object.fromEntries(roles.map((role) => [role.role, role.value]));
  const before = Object.fromEntries(roles.map((role) => [role.role, role.previous]));
  const { forget_gate: forget, cell, output_gate: output, update_gate: update, hidden, candidate, reset_gate: reset } = now;
  const known = (...values) => values.every((value) => Number.isFinite(value));
  if (known(forget, cell)) {
    const shows = known(output) ? `, shows ${percent(output)}` : "";
    if (!known(before.cell)) return `Starts empty, writes ${signed(cell)}${shows}.`;
    return `Keeps ${percent(forget)} of what it held (${number(before.cell)}), writes ${signed(cell - forget * before.cell)}${shows}.`;
  }
  if (known(update, hidden)) {
    const past = known(reset) ? `, formed with ${percent(reset)} of the past in view` : "";
    const takes = known(candidate) ? `takes ${percent(1 - update)} of its candidate (${number(candidate)})${past}` : `renews ${percent(1 - update)}`;
    return known(before.hidden) ? `Keeps ${percent(update)} of what it held (${number(before.hidden)}) and ${takes}.` : `Starts empty and ${takes}.`;
  }
  if (!known(hidden)) return "";
  return time === 0 || !known(before.hidden) ? `Starts at ${signed(hidden)}.` : `Moves from ${number(before.hidden)} to ${number(hidden)}; it has no gate to hold a value.`;
}

function cellCard(seen) {
  const title = make("h4", "", "token ", [make("span", "said", `“${seen.token}”`), ` (${seen.time}) · unit ${seen.unit}`]);
  if (seen.layers > 1) title.append(` · layer ${seen.layer + 1}`);
  if (seen.annotation) title.append(make("span", "note", seen.annotation));
  const rows = seen.roles.map((role) => {
    const colour = role[seen.mode], most = Math.max(Math.abs(role.low), Math.abs(role.high));
    const symbol = make("span", "symbol", role.symbol), name = make("span", "name", shortLabel(role));
    symbol.style.color = colour;
    const row = make("div", "row", "", [symbol, name, bar(role.value / most, colour, role.signed), make("span", "value", number(role.value))]);
    row.title = `${role.label}: ${role.meaning ?? ""}`;
    return row;
  });
  const card = make("div", "card cell", "", [title, ...rows, make("p", "quiet", sentence(seen))]);
  if (seen.reads) card.append(make("p", "quiet", `Not in the vocabulary: the model reads ${seen.reads}.`));
  const surprise = missing(seen.nll) ? "The first token: nothing predicted it." :
    `Given probability ${number(Math.exp(-seen.nll), 3)}: loss ${number(seen.nll)} nats; perplexity so far ${perplexity(seen.running_nll)}.`;
  card.append(make("p", "quiet", surprise));
  return card;
}

function nextCard({ next, level, mode }) {
  const rows = next.tokens.map((token, k) => make("div", "row next", "", [
    Object.assign(make("span", "name", token), { title: token }), bar(next.probabilities[k], NEXT[mode]), make("span", "value", number(next.probabilities[k])),
  ]));
  return make("div", "card likely", "", [make("h4", "", level === "char" ? "next character" : "next word"), ...rows]);
}

export default function ({ parentElement }) {
  let box = parentElement.querySelector(".readout");
  if (!box) {
    box = parentElement.appendChild(make("div", "readout"));
    const show = () => {
      const seen = window.__lstmviz;
      if (seen) box.replaceChildren(cellCard(seen), nextCard(seen));
    };
    window.addEventListener("lstmviz:readout", show);
    box.forget = () => window.removeEventListener("lstmviz:readout", show);
    show();
  }
  return box.forget;
}
