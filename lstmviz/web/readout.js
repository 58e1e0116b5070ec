// The numbers of one token and one unit, as the gate map on the same page announces them; the server takes no part.

import { INKS } from "./constants.js";
import { afterFrame, button, make, renew } from "./dom.js";
import { linkOf } from "./interventions.js";
import { paysOff, sentence } from "./say.js";
import { ask, current, go, whenSeen } from "./shared.js";
import { loading, teller, whenGone } from "./streamlit.js";
import { inline, missing, number, percent, shortLabel, signed, soFar } from "./words.js";

const MEANINGS = {
  opens: "Gates that open most between the token before and this one",
  shuts: "Gates that shut most between the token before and this one",
  keeps: "Units that keep most of what they held",
  writes: "Units that write most, up or down, into what they hold",
  changes: "Units whose memory changes most from the token before to this one",
};

// A bar from the left, or for signed values from the middle.
function bar(share, colour, fromMiddle = false) {
  const fill = make("div", "fill"), size = Math.min(1, Math.abs(share) || 0) * (fromMiddle ? 50 : 100);
  const left = !fromMiddle ? 0 : share < 0 ? 50 - size : 50;
  Object.assign(fill.style, { background: colour, width: `${size}%`, left: `${left}%` });
  return make("div", "track", "", fromMiddle ? [fill, make("div", "middle")] : [fill]);
}

function row(name, children, title) {
  return Object.assign(make("div", `row ${name}`, "", children), { title });
}

function cellCard(seen) {
  const title = make("h4", "", seen.level === "row" ? "" : `${seen.column} `, [make("span", "said", seen.called), ` · unit ${seen.unit}`]);
  if (seen.layer_label) title.append(` · ${seen.layer_label}`);
  if (seen.annotation) title.append(make("span", "note", seen.annotation));
  const rows = seen.roles.map((role) => {
    const colour = role[seen.mode], most = role.limit ?? role.high;
    const symbol = make("span", "symbol", role.symbol), name = make("span", "name", shortLabel(role));
    symbol.style.color = colour;
    const value = make("span", "value", number(role.value));
    const parts = [symbol, name, bar(role.value / most, colour, role.signed), value];
    if (seen.holds && Number.isFinite(role.value)) parts.push(holdButton(seen, role));
    return row("", parts, `${role.label}: ${role.meaning ?? ""}`);
  });
  const wide = seen.roles.some((role) => role.symbol.length > 2) ? " wide" : "";
  const card = make("div", `card cell${wide}${seen.holds ? " holds" : ""}`, "", [title, ...rows, make("p", "quiet", sentence(seen))]);
  if (seen.reverse) card.append(make("p", "quiet", "← reads from the right: the step before is the token after."));
  if (seen.reads) card.append(make("p", "quiet", `Not in the vocabulary: the model reads ${inline(seen.reads)}.`));
  const losses = `loss ${number(seen.nll)} nats; ${soFar(seen.running_nll, seen.unknown)}`;
  const surprise = seen.answer ? `${seen.answer}.` : missing(seen.nll) ? (seen.begun !== null ? "The label begins it: nothing predicted that." : seen.begins ? "The first token: nothing predicted it." : "It ends what was read before.") :
    `Was given probability ${seen.nll > 7.6 ? "below 0.0005" : number(Math.exp(-seen.nll), 3)}: ${losses}.`;
  card.append(make("p", "quiet", surprise));
  if (!missing(seen.depends)) card.append(make("p", "quiet", `Another label would change ${percent(seen.depends)} of what comes next.`));
  if (seen.looks) card.append(make("p", "quiet", `${seen.looks}.`));
  return card;
}

// From here a gate is held as it is now, on the page Inside, where it can be changed.
function holdButton({ time, unit, layer }, { role, label, value }) {
  const element = button("hold", `hold the ${label} of unit ${unit} from here on, and see what would be`, null);
  element.className = "hold";
  const held = { op: "hold", role, layer, units: [unit], value: Number(value.toFixed(2)), from: time, to: null };
  Object.assign(element.dataset, { act: "hold", hold: linkOf([held]) });
  return element;
}

// What the n-gram that is laid over the loss had counted, and who said the token better.
function besideCard(seen) {
  const lines = paysOff(seen).map((line) => make("p", "quiet", line));
  return make("div", "card beside", "", [make("h4", "", `memory or ${seen.beside.name}?`), ...(lines.length ? lines : [make("p", "quiet", "Nothing predicted this token.")])]);
}

// The units that do most at this token; a click selects one of them in the map.
function findCard({ found, mode, layer, column }) {
  const rows = found.map(([what, units]) => {
    const chips = units.map(({ unit, by, symbol, ...colours }) => {
      const sign = make("i", "", symbol);
      sign.style.color = colours[mode];
      const chip = make("button", "chip", "", [sign, ` ${unit}`]);
      Object.assign(chip, { type: "button", title: `unit ${unit}: ${symbol} ${signed(by)}; select it in the map` });
      Object.assign(chip.dataset, { act: "unit", unit, layer });
      return chip;
    });
    return row("find", [make("span", "name", what), make("div", "chips", "", chips.length ? chips : ["–"])], MEANINGS[what]);
  });
  return make("div", "card found", "", [make("h4", "", `most at this ${column}`), ...rows]);
}

// What may come next, to be clicked; or the labels that may be right, which are no text to go on with.
function nextCard({ next, level, mode, asks, answer, right }) {
  const rows = next.tokens.map((token, k) => {
    const share = next.probabilities[k], typed = next.typed[k];
    const name = make("span", "name", token), value = make("span", "value", number(share));
    const parts = [name, bar(share, INKS[mode].likely), value];
    if (answer) return row(`next label${token === right ? " right" : ""}`, parts, inline(token));
    const button = make("button", "row next", "", parts);
    const title = typed === null ? `${inline(token)} cannot be typed` : `append ${inline(token)} to the sentence`;
    Object.assign(button, { type: "button", title, disabled: typed === null });
    Object.assign(button.dataset, { act: "append", typed: typed ?? "", level });
    return button;
  });
  if (!rows.length) rows.push(make("p", "quiet", "Nothing is said yet."));
  return make("div", `card likely${answer ? " labels" : ""}`, "", [make("h4", "", asks), ...rows]);
}

// As if it had been typed at the end of the box: so a click is a key like any other, and none of those before it is lost.
function append({ typed, level }) {
  const input = document.querySelector(".st-key-text input");
  if (!input) return;
  const joint = level === "char" || !input.value || /\s$/.test(input.value) ? "" : " ";
  const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set; // past React's own setter
  set.call(input, input.value + joint + typed);
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

export default function readout({ parentElement, setStateValue }) {
  let box = parentElement.querySelector(".readout");
  if (!box) {
    const numbers = make("div", "numbers"), units = make("div", "units");
    box = parentElement.appendChild(make("div", "readout", "", [numbers, units]));
    let told = false, waiting = 0;
    const send = teller()(setStateValue);
    const tell = () => {
      if (loading()) return void setTimeout(tell, 100);
      if (!told) send("shown", true);
      told = true;
    };
    const show = () => {
      const seen = current();
      renew(numbers, make("div", "", "", seen ? [cellCard(seen), ...(seen.beside ? [besideCard(seen)] : []), nextCard(seen)] : []));
      clearTimeout(waiting);
      waiting = setTimeout(() => renew(units, make("div", "", "", current() ? [findCard(current())] : [])), 50); // the numbers go first
      if (seen) setTimeout(tell, 400); // after the map has said what it holds
    };
    box.addEventListener("click", ({ target }) => {
      const { act, typed, level, unit, layer, hold } = target.closest("button")?.dataset ?? {};
      if (act === "append") append({ typed, level });
      if (act === "hold") {
        go();
        send("hold", [hold, performance.now()]); // and the server goes there
      }
      if (act === "unit") ask({ unit: Number(unit), layer: Number(layer) });
    });
    setTimeout(tell, 3000); // without a text there is no map
    box.forget = whenGone(parentElement, whenSeen(afterFrame(show))); // the map goes first
    show();
  }
  return box.forget;
}
