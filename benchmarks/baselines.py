"""n-gram models: how long counting and scoring take, beside nltk's on the same counts.

    python benchmarks/baselines.py --corpus WIKITEXT_2 [--n 4] [--words 10000] [--sample 400]

WIKITEXT_2 is a folder with train, valid and test. A million of its words are counted and scored. nltk (pip install
nltk) looks through all that was counted for each word that it scores. So both count 20,000 words, with one discount
and over the same types, and score a sample of held-out words; the perplexities are compared.
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from lstmviz.baselines import Counts, NGram, growth, kneser_ney
from lstmviz.data.corpora import load_corpus

MILLION, SMALL, DISCOUNT = 1_000_000, 20_000, 0.75


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--n", type=int, default=4, help="tokens of the longest runs")
    parser.add_argument("--words", type=int, default=10_000, help="commonest words that are kept")
    parser.add_argument("--sample", type=int, default=400, help="words that nltk scores")
    arguments = parser.parse_args()
    corpus = load_corpus(arguments.corpus, "word", arguments.words)
    train, valid = (np.asarray(part, np.int64) for part in (corpus.train, corpus.valid))
    text, held_out = train[:MILLION], np.concatenate([valid, train[MILLION:]])[:MILLION]
    ours(text, held_out, arguments.n, len(corpus.vocabulary))
    beside_nltk(train[:SMALL], valid, arguments.n, arguments.sample)


def ours(text: np.ndarray, held_out: np.ndarray, n: int, vocab_size: int) -> None:
    begun = time.process_time()
    counts = Counts.of(text, n, vocab_size)
    counted = time.process_time()
    model = NGram(counts)
    made = time.process_time()
    nll = model.nll(held_out)[1:].mean()
    scored = time.process_time()
    print(f"{len(text):,} words: counted in {counted - begun:.2f} s, smoothed in {made - counted:.2f} s")
    speed = len(held_out) / (scored - made)
    print(
        f"{len(held_out):,} words scored in {scored - made:.2f} s: {speed:,.0f} a second, perplexity {np.exp(nll):.2f}"
    )
    for row in growth(counts, held_out):
        print(f"  n {row.n}: {row.runs:>9,} runs, {row.nbytes / 1e6:6.1f} MB, {row.unseen:5.1%} never counted")


def beside_nltk(text: np.ndarray, valid: np.ndarray, n: int, sample: int) -> None:
    try:
        from nltk.lm import KneserNeyInterpolated
        from nltk.util import everygrams
    except ImportError:
        print("nltk is not here: pip install nltk compares the two")
        return
    types = np.unique(text)  # both know these, and no others
    ids, asked = np.searchsorted(types, text), np.searchsorted(types, valid[np.isin(valid, types)])
    asked = asked[: sample + n - 1].astype(np.int64)
    model = NGram(Counts.of(ids, n, len(types)), partial(kneser_ney, discount=DISCOUNT))
    mine = model.nll(asked)[n - 1 :]

    other = KneserNeyInterpolated(n, discount=DISCOUNT)
    words = [str(i) for i in ids]
    other.fit([everygrams(words, max_len=n)], words)
    said = [str(i) for i in asked]
    begun = time.process_time()
    scores = [other.score(said[t], said[t - n + 1 : t]) for t in range(n - 1, len(said))]
    seconds = time.process_time() - begun
    theirs = -np.log(scores)
    a, b = np.exp(mine.mean()), np.exp(theirs.mean())
    print(f"{len(text):,} words counted, {len(theirs)} scored: perplexity {a:.4f}, nltk {b:.4f}, {a / b - 1:+.4%}")
    most = np.abs(mine - theirs).max()
    print(f"largest difference of a word's nll: {most:.2e}; nltk scores {len(theirs) / seconds:,.0f} a second")


if __name__ == "__main__":
    main()
