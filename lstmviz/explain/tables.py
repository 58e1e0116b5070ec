"""Tables to take along: the models, the lines of their charts, every value."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from lstmviz.data.vocabulary import Vocabulary
from lstmviz.explain.alignment import Compared, Place, shared_axis
from lstmviz.explain.measures import CHARTS, GAIN, measures, without
from lstmviz.gate_trace import DIRECTIONS, GateTrace
from lstmviz.opened import OpenModel
from lstmviz.reading import Reading
from lstmviz.sizes import parameter_count, perplexity


def models_table(models: dict[str, OpenModel]) -> pd.DataFrame:
    """One row a model: what it is, how it was trained, and how good it is; a loss is in nats a token of its level."""
    rows = []
    for name, opened in models.items():
        checkpoint = opened.checkpoint
        config, train, results = checkpoint.model, checkpoint.train, checkpoint.results
        rows.append(
            {
                "model": name,
                "cell": config.cell,
                "parameters": parameter_count(config, len(checkpoint.vocabulary)),
                "trained on": checkpoint.corpus_name,
                "level": checkpoint.vocabulary.level,
                "layers": config.num_layers,
                "units": config.hidden_size,
                "embedding": config.embedding_size,
                "seed": train.seed,
                "steps": checkpoint.history["step"][-1],
                "best at step": checkpoint.step,
                "learning rate": train.learning_rate,
                "schedule": train.schedule,
                "validation loss": results["valid_nll"],
                "validation perplexity": perplexity(results["valid_nll"]),
                "test loss": results.get("test_nll"),
            }
        )
        if "valid_accuracy" in results:
            del rows[-1]["validation perplexity"]
            rows[-1] |= {
                "validation accuracy": results["valid_accuracy"],
                "test accuracy": results.get("test_accuracy"),
            }
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """A table for a paper or a slide: a row a line, numbers to four digits after the point."""

    def written(value: object) -> str:
        if isinstance(value, float):
            return f"{value:.4f}".rstrip("0").rstrip(".")
        return str(value).replace("|", "\\|")

    rows = [table.columns, ["---"] * len(table.columns), *table.itertuples(index=False, name=None)]
    return "".join(f"| {' | '.join(map(written, row))} |\n" for row in rows)


def lines_table(text: str, models: list[Compared], place: Place) -> pd.DataFrame:
    """One row for each position of the axis and each model: what the charts show, of every gate.

    Returns:
        ``position``, ``token``, ``model``, ``loss`` in nats, where something is laid over that how much less it is,
        ``perplexity`` so far, ``half-life`` of what is held in tokens, and for each gate its mean and the shares of
        units below 0.1 and above 0.9; empty where a cell has none.
    """
    axis, tables = shared_axis(text, models), []
    for model, at in zip(models, axis.at, strict=True):
        columns: dict[str, Any] = {"position": range(len(axis.labels)), "token": axis.labels, "model": model.name}
        for gate in ("keeps", "writes", "shows"):
            found = measures(model, place, gate, at, axis.by)
            whole = {name: found[name] for name, (_, of_gate) in CHARTS.items() if not of_gate}
            for name in without(model.opened):
                del whole[name]
            if not any(each.beside for each in models):
                whole.pop(GAIN, None)
            columns |= whole | {f"{gate} {name}": found[name] for name, (_, of_gate) in CHARTS.items() if of_gate}
        tables.append(pd.DataFrame({name: np.nan if value is None else value for name, value in columns.items()}))
    return pd.concat(tables, ignore_index=True).sort_values(["position", "model"], kind="stable", ignore_index=True)


def values_table(models: list[Compared]) -> pd.DataFrame:
    """Every gate and state of every model, layer, token and unit, as Watch exports those of one."""
    tables = [trace_table(each.reading, each.opened.reads).assign(model=each.name) for each in models]
    return pd.concat(tables, ignore_index=True)


def trace_table(reading: Reading, vocabulary: Vocabulary) -> pd.DataFrame:
    """Every gate and state of every layer, token and unit that one model read, or said for it."""
    table = named_trace(reading, vocabulary).to_dataframe()
    if reading.said:  # who reads says nothing, and who says reads nothing
        table = table.loc[(table["direction"] == DIRECTIONS[-1]) == (table["time"] >= reading.count)]
    return table.reset_index(drop=True)


def attention_table(reading: Reading) -> pd.DataFrame:
    """How much each step of what was said looked at each token that was read; none without attention.

    Returns:
        ``time`` and ``token`` of the step, ``source`` and ``read``, the same of what it looked at, ``look``, and where
        it is known whether the token ``comes from`` there.
    """
    if not (said := reading.said) or said.looks is None:
        return pd.DataFrame()
    steps, places = (axis.ravel() for axis in np.indices(said.looks.shape))
    pieces = np.array(reading.pieces, dtype=object)
    columns: dict[str, Any] = {"time": said.begin + steps, "token": pieces[said.begin + steps], "source": places}
    columns |= {"read": pieces[places], "look": said.looks.ravel()}
    if said.aligned is not None:
        columns["comes from"] = np.array(said.aligned)[steps] == places
    return pd.DataFrame(columns)


def named_trace(reading: Reading, vocabulary: Vocabulary) -> GateTrace:
    """The trace of what was read, with its tokens or rows."""
    as_they_are = reading.said or reading.image is not None
    return replace(reading.trace, tokens=reading.pieces if as_they_are else [vocabulary.token(i) for i in reading.ids])


def as_csv(table: pd.DataFrame) -> str:
    """A table as text, the only way that one leaves as CSV.

    A spreadsheet takes a cell that begins with = + - @, a tab or the end of a line for a formula, and runs it; some
    also take the wide ＝ ＋ － ＠. So a text that begins so has an apostrophe before it, by which spreadsheets know a
    text; whoever reads it otherwise drops that (``cell.removeprefix("'")``). Numbers stay numbers, also below 0.
    """
    table = table.rename(columns=_no_formula)
    for name in table.select_dtypes(exclude="number"):
        table[name] = table[name].map(_no_formula)
    return table.to_csv(index=False, lineterminator="\r\n")  # so that one within a text is quoted, too


def _no_formula(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(tuple("=+-@\t\r\n＝＋－＠")) else cell


def as_parquet(table: pd.DataFrame) -> bytes:
    """A table as a file."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()
