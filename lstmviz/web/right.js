// What is right after each token of a text that comes with the project, as `Task.right` in lstmviz/tasks says it: a label, or
// null where nothing is asked or nobody can know. `tables` are the words that a rule speaks of, from `Task.tables`.

// Of the symbol that stands first, asked for at the end.
const recall = (tokens) => last(tokens, tokens.at(-1) === "?" ? [...new Set(tokens[0])] : []);

// Of a sentence that ends before its verb, whose subject is the first noun: `nouns` are -1 (one) or 1 (many).
function agreement(tokens, { nouns, verbs }) {
  const isNoun = (token) => Object.hasOwn(nouns, token), subject = tokens.find(isNoun);
  const forms = [...Object.keys(verbs), ...Object.values(verbs)];
  if (!isNoun(tokens.at(-1)) || tokens.some((token) => forms.includes(token))) return last(tokens, []);
  return last(tokens, nouns[subject] > 0 ? Object.values(verbs) : Object.keys(verbs));
}

// What is asked when all is read is said at every token.
const last = (tokens, right) => tokens.map(() => right.toSorted().join("/") || null);

// The last symbol up to a token, and the next from it on.
function between(tokens, { symbols }) {
  const lastOf = (some) => {
    let found = "";
    return some.map((token) => (found = symbols.includes(token) ? token : found));
  };
  const before = lastOf(tokens), after = lastOf(tokens.toReversed()).toReversed();
  return tokens.map((_, t) => (before[t] && after[t] ? before[t] + after[t] : null));
}

const VALUES = {
  max: (values) => values.reduce((a, b) => (b > a ? b : a)), min: (values) => values.reduce((a, b) => (b < a ? b : a)),
  first: ([value]) => value,
};

// At each closing bracket the value of what ends there.
function expressions(tokens, { digits, least }) {
  const going = []; // operations that have not ended yet: [name, arguments so far]
  return tokens.map((token) => {
    let value = digits.includes(token) ? token : null;
    if (Object.hasOwn(VALUES, token)) going.push([token, []]);
    else if (token === ")" && going.at(-1)?.[1].length >= least) {
      const [operation, values] = going.pop();
      value = VALUES[operation](values);
    }
    if (value !== null) going.at(-1)?.[1].push(value);
    return token === ")" ? value : null;
  });
}

// What a word is, by its ending and, where that is not enough, by the word before.
function nonsense(tokens, { endings, names, known }) {
  let before = null;
  return tokens.map((word) => {
    const named = /^(?!\p{Lt})\p{Uppercase}/u.test(word);
    const fits = Object.entries(endings).filter(([kind]) => names.includes(kind) === named)
      .flatMap(([kind, ends]) => ends.filter((end) => word.endsWith(end)).map((end) => [kind, end.length]));
    const longest = Math.max(...fits.map(([, length]) => length));
    let may = fits.filter(([, length]) => length === longest).map(([kind]) => kind);
    if (may.length > 1) may = may.filter((kind) => before && (kind === "verb") !== ["article", "adjective"].includes(before));
    return (before = Object.hasOwn(known, word) ? known[word] : may[0] ?? null);
  });
}

const RULES = { recall, agreement, between, expressions, nonsense };
export const rightLabels = ({ rule, tables }, tokens) => RULES[rule](tokens, tables);
