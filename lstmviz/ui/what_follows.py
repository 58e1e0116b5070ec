"""A typed context: what was counted after it, how often, and what never; and how n-grams go on beside an LSTM."""

from __future__ import annotations

import streamlit as st
import torch

from lstmviz.baselines import NGram, continuations
from lstmviz.checkpoint import CheckpointError
from lstmviz.data.vocabulary import Vocabulary, code, plain
from lstmviz.opened import OpenModel
from lstmviz.reading import LONGEST
from lstmviz.ui.session import key_of
from lstmviz.ui.sources import Baseline, baselines, parse

BEST = 5  # continuations that are told
NO_BREAK = "\u2011"  # a hyphen after which no line ends
WRITTEN = {"char": 120, "word": 25}  # tokens that each model writes
# Of an experiment the model, and what stands in the box at first.
WHAT_FOLLOWS = {
    "baselines-words": ("wikitext2-word-lstm", "the students opened their"),
    "baselines-characters": ("shakespeare-char-lstm", "O Rome"),
}


@st.fragment
def what_follows(experiment: str) -> None:
    """The problems of sparsity and storage on one context, and what each n says next.

    Args:
        experiment: a key of ``WHAT_FOLLOWS``.
    """
    address, first = WHAT_FOLLOWS[experiment]
    with st.container(border=True, key=key_of("follows", experiment)):
        st.markdown("**What follows?**")
        text = st.text_input(
            "Type a beginning; the table counts what followed its last tokens.",
            first,
            max_chars=LONGEST,
            live="0ms",
            key=key_of("context", experiment),
        )
        try:
            opened = parse(address).open()
            ngrams = baselines(opened)
            longest = max(ngrams.values(), key=lambda each: each.n).open()
        except (CheckpointError, ValueError) as error:
            st.error(f"What was counted cannot be read: {plain(str(error))}.")
            return
        vocabulary = opened.checkpoint.vocabulary
        ids = vocabulary.encode(text or "")
        st.markdown(counted_table(longest, vocabulary, ids))
        written = st.container()
        if st.button("Let each of them write on", key=key_of("write", experiment)):
            with written, st.spinner("They write…"):
                st.markdown(written_table(opened, ngrams, ids))


def counted_table(model: NGram, vocabulary: Vocabulary, ids: list[int]) -> str:
    """What was counted after the last tokens of a text, as Markdown: a row for each length of the context."""
    size = len(vocabulary)
    lines = [
        "| after | counted | different tokens followed | most often | never followed |",
        "|---|---:|---:|---|---:|",
    ]
    for found in continuations(model.counts, ids, BEST):
        context = _code(vocabulary, found.context) if found.context else "nothing"
        pairs = zip(found.tokens, found.followed, strict=True)
        most = ", ".join(f"{_code(vocabulary, [token])} {times:,}" for token, times in pairs) or "–"
        lines.append(
            f"| {context} | {f'{found.times:,}' if found.times else 'never'} | {found.different:,} of {size:,} "
            f"| {most} | {1 - found.different / size:.1%} |"
        )
    return "\n".join(lines)


def written_table(opened: OpenModel, ngrams: dict[str, Baseline], ids: list[int]) -> str:
    """How each model goes on, as Markdown; where nothing stands, after the end of a line."""
    vocabulary = opened.checkpoint.vocabulary
    start, count = torch.tensor(ids or [vocabulary.end]), WRITTEN[vocabulary.level]
    models = {**{name: ngram.open() for name, ngram in ngrams.items()}, "LSTM": opened.model}
    lines = ["| | goes on |", "|---|---|"]
    for name, model in models.items():
        try:
            drawn = model.sample(start, count, temperature=0.8, seed=0).tolist()
        except FloatingPointError as error:
            lines.append(f"| {name} | {plain(str(error))} |")
            continue
        said = code(vocabulary.decode(drawn).replace("\n", vocabulary.newline_sign)).replace("|", r"\|")
        lines.append(f"| {name.replace('-', NO_BREAK)} | {said} |")
    return "\n".join(lines)


def _code(vocabulary: Vocabulary, ids: list[int]) -> str:
    """Tokens as they are typed, in a cell of a Markdown table."""
    joint = "" if vocabulary.level == "char" else " "
    return code(joint.join(map(vocabulary.display, ids))).replace("|", r"\|")
