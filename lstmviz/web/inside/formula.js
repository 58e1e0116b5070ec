// An equation set as in a book: symbols in italics with their indices, in the colours of the gates and states that they are.

import { make } from "../dom.js";

const PIECE = /⟦(\d+)\|([^⟧]*)⟧|(\p{L}{2,})|(\p{L}\p{M}*)(\d+)?(?:_([\p{L}\d]+))?('?)|([^⟦\p{L}]+)/gu;

// A part of it that can be opened, the k-th, which is written so.
export const marked = (k, text) => `⟦${k}|${text}⟧`;

// Symbol -> the role that it is in this cell, as one of `live.roles`.
export const rolesBySymbol = ({ roles, symbols }) => new Map(roles.map((role) => [symbols[role.role].replace(/^ln /, ""), role]));

// The elements of an equation's text. `colourOf` says in which colour a symbol is written, undefined for that of the text, and
// `open` makes of a marked part, its number and its elements, what stands for it.
export function typeset(text, colourOf, open) {
  return [...text.matchAll(PIECE)].map(([whole, k, inside, word, letter, count, index, prime]) => {
    if (k !== undefined) return open(Number(k), typeset(inside, colourOf, open));
    if (word !== undefined || letter === "σ") return make("span", "word", whole);
    if (letter === undefined) return document.createTextNode(whole);
    const below = `${count ?? ""}${index ?? ""}`, symbol = make("i", "", letter, below ? [make("sub", "", below)] : []);
    symbol.append(prime && "′");
    const colour = colourOf(letter + (below ? `_${below}` : ""));
    if (colour) symbol.style.color = colour;
    return symbol;
  });
}

// Prose in which the symbols that have an index are set so.
export const withIndices = (said) => said.split(/(\p{L}\p{M}*_[\p{L}\d]+)/u).flatMap((piece, k) =>
  (k % 2 ? typeset(piece, () => undefined, () => []) : [document.createTextNode(piece)]));
