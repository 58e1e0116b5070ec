// Text to token ids and back: the Vocabulary of lstmviz/data/vocabulary.py, by the same patterns. The reasons are there.

import {
  APART, CHARACTER, CHUNK, EOS, JOINT, LINE_ENDS, NEWLINE_SIGN, NEWLINE_SIGNS, NOT, PART, SPACE_SIGN, SPACE_SIGNS, TAB_SIGN, UNK, WORD,
} from "./constants.js";
import { coded, shown } from "./words.js";

const patterns = new Map();

// Made when first needed: a browser that does not have such can still draw what the server answers.
export function pattern(source) {
  if (!patterns.has(source)) patterns.set(source, new RegExp(source, "gv"));
  return patterns.get(source);
}

const all = (source, text) => text.match(pattern(source)) ?? [];

// Text that can be written as UTF-8: half a surrogate pair becomes �, and a line ends with \n alone.
export const wellFormed = (text) => text.toWellFormed().replace(/^\ufeff/, "").replace(/\r\n?/g, "\n");

// A token as it is `shown`, with its white space made visible, too.
export const visible = (text, newline = NEWLINE_SIGN, space = SPACE_SIGN) =>
  shown(text.replaceAll("\n", newline).replaceAll(" ", space).replaceAll("\t", TAB_SIGN)).replace(/\p{Zs}/gu, coded);

// Of the level "char", "word" or "label"; a token's id is its place in `tokens`.
export class Vocabulary {
  constructor({ level, tokens }) {
    const free = (signs) => [...signs].find((sign) => !tokens.some((token) => token.includes(sign))) ?? signs[0];
    Object.assign(this, { level, tokens, length: tokens.length, ids: new Map(tokens.map((token, id) => [token, id])) });
    this.end = this.ids.get("\n") ?? this.ids.get(EOS); // the id that ends a line
    this.unknown = this.ids.get(APART) ?? this.ids.get(UNK);
    this.newlineSign = free(NEWLINE_SIGNS);
    this.spaceSign = free(SPACE_SIGNS);
    this.hasCase = tokens.some((token) => token !== "N" && token !== token.toLowerCase());
  }

  // Typed text in pieces as the corpus is split, each as it was typed.
  split(text) {
    const lines = wellFormed(text).replaceAll(this.newlineSign, "\n");
    if (this.level === "char") return all(CHARACTER, lines.replaceAll(this.spaceSign, " ")).flatMap((cluster) => this.characters(cluster));
    return all(CHUNK, lines).flatMap((chunk) => (LINE_ENDS.includes(chunk) ? EOS : this.knows(chunk) ? chunk : this.splitChunk(chunk)));
  }

  characters(cluster) {
    for (const form of formsOf(cluster)) {
      const characters = [...form];
      if (characters.every((character) => this.knows(character))) return characters;
    }
    return [...cluster];
  }

  splitChunk(chunk) {
    const joints = this.ids.has("@-@"), allKnown = (pieces) => pieces.every((piece) => this.knows(piece));
    if (joints) chunk = chunk.replace(pattern(JOINT), " @$&@ ");
    if (this.ids.has("n't")) chunk = chunk.replace(pattern(NOT), " $& ");
    return all(CHUNK, chunk).flatMap((piece) => {
      if (this.knows(piece)) return piece;
      if (joints) return all(PART, piece);
      return all(WORD, piece).flatMap((word) => {
        const parts = this.knows(word) ? [word] : all(PART, word);
        return allKnown(parts) ? parts : word;
      });
    });
  }

  // The spelling to look up.
  normalised(piece) {
    if (this.ids.has(piece)) return piece;
    if (this.level === "char") return LINE_ENDS.includes(piece) ? "\n" : piece;
    for (const form of formsOf(piece)) {
      const spelled = form.replaceAll("’", "'"), lower = this.hasCase ? spelled : spelled.toLowerCase();
      if (this.ids.has(spelled)) return spelled;
      if (this.ids.has(lower)) return lower;
    }
    return piece;
  }

  knows(piece) {
    return this.ids.has(this.normalised(piece));
  }

  // Ids of what `split` gave.
  encode(pieces) {
    return pieces.map((piece) => this.ids.get(this.normalised(piece)) ?? this.unknown);
  }

  // A token as a person should see it, and may type it.
  display(id) {
    const token = this.tokens[id];
    return token === EOS && this.level === "word" ? this.newlineSign : visible(token, this.newlineSign, this.spaceSign);
  }

  // What to type, in a box of one line, to get just this token; null where nothing does.
  howToType(id) {
    const gives = (form) => !form.includes("\n") && `${this.encode(this.split(form))}` === `${id}`;
    return [this.tokens[id], this.display(id)].find(gives) ?? null;
  }

  // A text and what follows it, as they are typed.
  joined(text, more) {
    return this.level === "char" || /(?:^|\p{White_Space})$/u.test(text) ? text + more : `${text} ${more}`;
  }
}

function* formsOf(text) { // an accent is part of its letter or not
  yield text;
  yield text.normalize("NFC");
  yield text.normalize("NFD");
}
