"""The file of a table of counts, and its strict loader."""

import dataclasses
import lzma
from pathlib import Path

import numpy as np
import pytest

from lstmviz import config as limits
from lstmviz import counted
from lstmviz.card import table_card
from lstmviz.checkpoint import CheckpointError
from lstmviz.checkpoint import load as load_checkpoint
from lstmviz.counted import Table, count, dumps, load, loads, save
from lstmviz.data.grammars import generate
from lstmviz.data.vocabulary import UNKNOWN_MOST

CORPUS = generate("agreement")
SHIPPED = sorted((Path(__file__).parents[2] / "checkpoints").glob("*.counts"))


GREEDY = lzma.compress(bytes(99), filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 2**30, "mode": lzma.MODE_FAST}])


@pytest.fixture(scope="module")
def table() -> Table:
    short = dataclasses.replace(CORPUS, train=CORPUS.train[:3000], valid=CORPUS.valid[:500], test=CORPUS.test[:400])
    return count(short, 3, "python -m lstmviz count a.counts --corpus agreement --n 3")


def forged(table: Table, columns: bytes | None = None, **changes: object) -> bytes:
    """A file as somebody would write it who wants to do harm: altered, with a digest that fits."""
    if columns is None:
        end = 8 + int.from_bytes(dumps(table)[:8], "little")
        columns = lzma.decompress(dumps(table)[end:])
    about = dataclasses.replace(table.about, **changes)
    text = counted._text(dataclasses.replace(about, digest=counted._digest(about, columns)))
    return len(text).to_bytes(8, "little") + text + lzma.compress(columns)


def test_a_table_comes_back_whole(table, tmp_path):
    save(table, tmp_path / "new" / "a.counts")
    loaded = load(tmp_path / "new" / "a.counts")
    assert dumps(loaded) == dumps(table) == forged(table)
    assert dataclasses.replace(loaded.about, digest="") == table.about and loaded.vocabulary == CORPUS.vocabulary
    ids = CORPUS.valid.numpy()[:200]
    np.testing.assert_array_equal(loaded.model(3).nll(ids), table.model(3).nll(ids))
    assert loaded.about.valid_nll[1] == pytest.approx(table.model(2).nll(CORPUS.valid.numpy()[:500])[1:].mean())
    said = table_card(loaded)
    assert "2-gram | " in said and "agreement" in said and "--n 3" in said


def test_no_file_that_was_altered_is_taken(table):
    data, rng = dumps(table), np.random.default_rng(0)
    for _ in range(300):
        altered = bytearray(data)
        altered[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        with pytest.raises(CheckpointError):
            loads(bytes(altered))
    for end in (0, 7, 8, 500, len(data) - 1):
        with pytest.raises(CheckpointError):
            loads(data[:end])
    with pytest.raises(CheckpointError, match="more or fewer counts"):
        loads(data + b"\0")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 2}, "format 2; this version reads format 1"),
        ({"runs": ()}, "sizes or figures"),
        ({"runs": (30, 200, limits.RUNS_MOST)}, "sizes or figures"),
        ({"runs": (1, 2, 3)}, "more or fewer counts"),
        ({"valid_nll": (1.0, 2.0)}, "sizes or figures"),
        ({"test_nll": (1.0, 2.0, -3.0)}, "sizes or figures"),
        ({"valid_unknown": 1.5}, "sizes or figures"),
        ({"licence": "x" * (limits.TEXT_MOST + 1)}, "sizes or figures"),
        ({"tokens": ("a", "b")}, "tokens must begin with <pad>"),
        ({"level": "line"}, "level is 'line'"),
        ({"corpus_name": 5}, "corpus_name is 5"),
    ],
)
def test_what_no_table_says_is_refused(changes, said, table):
    with pytest.raises(CheckpointError, match=said):
        loads(forged(table, **changes))


@pytest.mark.parametrize("where", range(12))
def test_numbers_that_are_no_counts_are_refused(where, table):
    """Whichever number of the columns is another one: a text cannot have been counted so."""
    size = sum(4 * (p + 2 * n) for p, n in zip((1, *table.about.runs[:-1]), table.about.runs, strict=True))
    end = 8 + int.from_bytes(dumps(table)[:8], "little")
    columns = bytearray(lzma.decompress(dumps(table)[end:]))
    at = np.random.default_rng(where).integers(size)
    columns[at] = (columns[at] + 1 + where) % 256
    with pytest.raises(CheckpointError, match="not the counts of any text"):
        loads(forged(table, bytes(columns)))


def test_a_bomb_is_not_unpacked(table):
    columns = bytes(20_000_000)
    with pytest.raises(CheckpointError, match="more or fewer counts"):
        loads(forged(table, columns))


@pytest.mark.parametrize("spoil", [lambda xz: xz[:-1], lambda xz: xz + xz, lambda _: b"", lambda _: GREEDY])
def test_counts_that_are_compressed_otherwise_are_refused(spoil, table):
    data = dumps(table)
    end = 8 + int.from_bytes(data[:8], "little")
    with pytest.raises(CheckpointError, match=r"the counts are damaged|more or fewer counts"):
        loads(data[:end] + spoil(data[end:]))


def test_a_file_that_is_none_is_refused_in_a_sentence(tmp_path, make_checkpoint):
    (tmp_path / "text.counts").write_text("once upon a time there was a table")
    with pytest.raises(CheckpointError, match="no table of counts"):
        load(tmp_path / "text.counts")
    with pytest.raises(CheckpointError, match=r"nowhere.counts cannot be read: No such file"):
        load(tmp_path / "nowhere.counts")


def test_what_is_too_much_is_not_counted(monkeypatch):
    monkeypatch.setattr(limits, "RUNS_MOST", 100)
    with pytest.raises(ValueError, match="a table holds at most 100: choose a smaller n, or fewer words"):
        count(CORPUS, 5, "")
    monkeypatch.setattr(limits, "COUNTED_MOST", 1000)
    with pytest.raises(ValueError, match="at most 1,000 are counted"):
        count(CORPUS, 5, "")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_shipped_tables_are_of_the_text_of_a_shipped_model(path):
    table = load(path)
    name, _ = path.stem.rsplit("-", 1)
    of = load_checkpoint(path.with_name(f"{name}-lstm.safetensors"))
    assert table.vocabulary == of.vocabulary and table.about.corpus_sha256 == of.corpus_sha256
    assert path.with_suffix(".md").read_text("utf-8") == table_card(table)
    *_, nll = table.about.valid_nll
    assert of.results["valid_nll"] < nll < table.about.valid_nll[0]  # memory pays, and so do longer runs
    assert table.about.valid_unknown < UNKNOWN_MOST and path.stem.endswith(f"{len(table.about.runs)}gram")
