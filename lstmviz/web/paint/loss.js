// The loss at every token, and over its bars the mean so far and the perplexity.

import { betweenGutters, write } from "./pen.js";
import { barWidth, drawLine, markBeyond } from "./lines.js";
import { lossScale } from "./tokens.js";
import { clamp, RIGHT, x } from "../view.js";
import { missing, number, perplexity } from "../words.js";

export const LOSS = 66; // CSS pixels

// At view.lossTop. Where the perplexity leaves the strip: see `markBeyond`.
export function drawLoss(paint, view, data, theme) {
  const { lossTop, gutter, end, time, narrow } = view, bottom = lossTop + LOSS, running = data.running_nll;
  const most = (list) => list.reduce((a, b) => Math.max(a, b ?? 0), 0), last = running.at(-1);
  const seen = (list) => list.slice(view.from, view.to);
  const beside = data.beside?.nll ?? [];
  const top = Math.max(lossScale(data.level), ...[data.nll, running, beside].map((list) => most(seen(list)))); // higher only for what is off it
  // Perplexity begins huge and settles; its axis serves where it settled, and the line may come in through the top.
  const highest = clamp(Math.exp(most(running)), 2, Math.max(4, 4 * Math.exp(last ?? 0)));
  const lossY = (nll) => bottom - (nll / top) * LOSS;
  const perplexityY = (nll) => bottom - ((Math.exp(nll) - 1) / (highest - 1)) * (LOSS - 2);
  let beyond;
  betweenGutters(paint, view, lossTop, LOSS + 1, () => {
    paint.fillStyle = theme.bar;
    for (let t = view.from; t < view.to; t++)
      paint.fillRect(x(view, t), lossY(data.nll[t] ?? 0), barWidth(view), bottom - lossY(data.nll[t] ?? 0));
    paint.fillStyle = theme.ink; // a stroke a token, over the bars
    for (let t = view.from; t < view.to; t++)
      if (!missing(beside[t])) paint.fillRect(x(view, t), lossY(beside[t]) - 1, barWidth(view), 2);
    drawLine(paint, view, running, lossY, { colour: theme.loss, width: 1.2, dash: [3, 2] });
    drawLine(paint, view, running, perplexityY, { colour: theme.perplexity, width: 2 });
    const perplexities = running.map((nll) => (missing(nll) ? nll : Math.exp(nll)));
    beyond = markBeyond(paint, view, perplexities, highest, theme, { y: lossTop, colour: theme.perplexity });
  });
  paint.fillStyle = theme.line;
  paint.fillRect(gutter, bottom, end - gutter, 1);
  const row = (label, value, y, colour) => {
    write(paint, theme, label, gutter - 54, lossTop + y, { colour, room: gutter - 56 });
    write(paint, theme, value, gutter - 12, lossTop + y, { weight: 600, colour, room: 38 });
  };
  row(narrow ? "loss" : "loss (nats)", number(data.nll[time]), 14, theme.loss);
  row("so far", number(running[time]), 32, theme.loss);
  row(narrow ? "ppl" : "perplexity", perplexity(running[time]), 50, theme.perplexity);
  const scale = (text, y, colour, style) =>
    write(paint, theme, text, end + 8, y, { align: "left", colour, room: RIGHT - 10, ...style });
  scale(`${number(top, 0)} nats`, lossTop + 6, theme.loss, { size: 11 });
  scale(`ppl ${perplexity(Math.log(highest))}`, lossTop + 21, theme.perplexity, { size: 11 });
  if (!missing(last)) {
    const y = clamp(perplexityY(last), lossTop + 38, bottom - 5);
    scale(perplexity(last), y, theme.perplexity, { size: 13, weight: 700 });
  }
  return beyond;
}
