"""What a file, a text or a link may do to a server: be refused, or be shown, at a small cost.

    python benchmarks/hostile.py [--mutants 13000] [--seed 0] [--short]

First come files, texts and links that were made to cost much, each in a process of its own: the processor time and the
memory over the file's own size are counted until it is refused or the first map of it is made.

Then files of the shipped checkpoints and of tables of counts are altered: bits, bytes and ends of the file, its
header, the values in that, its tensors or counts. Half of them get a digest that fits, as somebody would write it who
wants to do harm. What is altered without that and is still taken counts as a miss; with it, whatever is taken must be
shown without an error.

Exits with 1 where something altered was taken, where anything but a ``CheckpointError`` (of a text, a ``ValueError``)
came out, or where more than 2 s or 300 MB were taken. A file that is too large to be uploaded can only be put into a
folder by whose machine it is: it may take 2 s for each 32 MB; so can a table of counts, which may take 4 s.
"""

import argparse
import hashlib
import io
import json
import lzma
import os
import pickle
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
torch.set_num_threads(1)  # as in the app

from lstmviz import baselines, counted  # noqa: E402
from lstmviz import checkpoint as checkpoints  # noqa: E402
from lstmviz.baselines import LONGEST, Counts, continuations  # noqa: E402
from lstmviz.card import card, table_card  # noqa: E402
from lstmviz.cells import CELLS  # noqa: E402
from lstmviz.charts import gate_figure, lines_figure, training_figure  # noqa: E402
from lstmviz.checkpoint import Checkpoint, CheckpointError  # noqa: E402
from lstmviz.config import OWN_TEXT_MOST, VOCABULARY_MOST, ModelConfig, TrainConfig  # noqa: E402
from lstmviz.counted import About, Table  # noqa: E402
from lstmviz.data import corpora  # noqa: E402
from lstmviz.data.expressions import Expression  # noqa: E402
from lstmviz.data.images import examples  # noqa: E402
from lstmviz.data.vocabulary import SPECIALS, Vocabulary  # noqa: E402
from lstmviz.explain.alignment import Compared, Place, shared_axis  # noqa: E402
from lstmviz.explain.comparison import View, draw, live_comparison  # noqa: E402
from lstmviz.explain.differences import differences  # noqa: E402
from lstmviz.explain.distance import reach  # noqa: E402
from lstmviz.explain.examples import examples_for  # noqa: E402
from lstmviz.explain.kin import kinship  # noqa: E402
from lstmviz.explain.tables import as_csv, as_parquet, lines_table, models_table, named_trace, trace_table  # noqa: E402
from lstmviz.model import LanguageModel  # noqa: E402
from lstmviz.opened import prepare  # noqa: E402
from lstmviz.reading import read, read_image, read_tree  # noqa: E402
from lstmviz.units import drawn_roles  # noqa: E402
from lstmviz.wire import Frame, payload, side_by_side  # noqa: E402

SHORT = (
    "31 MB of []", "as many numbers as may be", "a corpus name of 25 MB", "700,000 rows of history", "999,000 words",
    "200,000 { in each other in the description", "1 mingru of 4,000 units",
    "1 mingru of 4,000 units, rows of 128", "20 layers of lstm", "chrono",
    "a bias in an rnn of -3.4e38", "signs that nobody sees", "256 labels, 200,000 words",
    "counts: 200,000 [ in each other", "marks on one letter",
)  # fmt: skip
SECONDS, BYTES = 2.0, 300e6  # the most that may be taken
UPLOADED = 32 * 2**20  # bytes, at most
SHIPPED = sorted((ROOT / "checkpoints").rglob("*.safetensors"))
TABLES = sorted((ROOT / "checkpoints").glob("*.counts"))
Show = Callable[[Callable[[], None]], None]  # does it, and calls what it is given once the first map is there


# ---- what is done with a file ----------------------------------------------------------------------------------------


def show(checkpoint: Checkpoint, shown: Callable[[], None] = lambda: None) -> None:
    """Everything that is done with a checkpoint, the first map first."""
    opened = prepare(checkpoint)
    if side := checkpoint.model.row_size:
        seen = read_image(opened, examples(side)[0, :, :-1])
        roles, chosen = drawn_roles(checkpoint.model.cell, opened.scales[0]), {"time": 0, "unit": 0, "layer": 0}
        payload(opened, seen, layers=[0], roles=roles, order="telling", selection=chosen)
        shown()
        card(checkpoint)
        return
    text = examples_for(opened)[0].text
    reading = read_tree(opened, Expression.parse(text)) if opened.reads_trees else read(opened, text)
    assert reading is not None
    roles, seen = drawn_roles(checkpoint.model.cell, opened.scales[0]), {"time": 0, "unit": 0}
    payload(opened, reading, layers=[0], roles=roles, order="telling", selection={**seen, "layer": 0})
    shown()
    card(checkpoint)
    training_figure(checkpoint.history).to_json()
    every = [*range(len(opened.tracks))]
    payload(opened, reading, layers=every, roles=roles, order="active", selection={**seen, "layer": 0})
    few = reading if opened.reads_trees else read(opened, text[:20])
    assert few is not None
    gate_figure(named_trace(few, opened.reads)).to_json()
    as_csv(trace_table(few, opened.reads))
    as_parquet(trace_table(few, opened.reads))
    both = [opened, opened]
    compared = [Compared(name, name, opened, reading) for name in ("one", "two")]
    view = View(Place(), "telling", ["keeps", "memory"], ["loss", "perplexity", "mean", "half-life"], "keeps", True)
    live = live_comparison(compared, differences(both, [1.0, 2.0]), kinship(both), 0, view)
    side_by_side(*draw(live, view, compared, shared_axis(text, compared), {**seen, "model": 0}), Frame())
    as_csv(models_table({"one": opened}))
    as_csv(lines_table(text, compared, Place()))
    if checkpoint.hidden_variable:
        lines_figure({"one": reach(opened)}, x="", y="", doubling=True).to_json()


def show_table(table: Table, shown: Callable[[], None] = lambda: None) -> None:
    """Everything that the pages do with a table of counts: its longest runs are laid over a sentence first."""
    vocabulary, n = table.vocabulary, len(table.about.runs)
    ids = vocabulary.encode("what is typed ((x)x)\n") * 20
    longest = table.model(n)
    assert not np.isnan(longest.nll(np.array(ids))).any()
    assert baselines.told(longest.counts, np.array(ids)).run.max() <= n
    shown()
    table_card(table)
    for beginning in ([], ids[:n], [*range(n)]):
        for found in continuations(longest.counts, beginning):
            [vocabulary.display(token) for token in (*found.context, *found.tokens)]
    for k in range(1, n + 1):
        with suppress(FloatingPointError):  # which the page says
            table.model(k).sample(torch.tensor(ids[:1]), 20)


def of_file(data: bytes, path: Path) -> Show:
    """As the pages open it: what is too large to be uploaded lies in a folder."""
    if len(data) <= UPLOADED:
        return lambda shown: show(checkpoints.loads(data), shown)
    path.write_bytes(data)
    return lambda shown: show(checkpoints.load(path), shown)


def of_table(data: bytes) -> Show:
    return lambda shown: show_table(counted.loads(data), shown)


# ---- altered files ---------------------------------------------------------------------------------------------------


def parts_of(data: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """The header, the description in it, and the bytes of the tensors."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    return header, json.loads(header.pop("__metadata__")["lstmviz"]), data[end:]


def joined(header: dict[str, Any], description: dict[str, Any], tensors: bytes) -> bytes:
    """Undoes ``parts_of``, as safetensors writes it."""
    metadata = {"__metadata__": {"lstmviz": json.dumps(description, sort_keys=True)}}
    text = json.dumps({**metadata, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + tensors


def signed(header: dict[str, Any], description: dict[str, Any], tensors: bytes) -> bytes:
    """As ``joined``, with the digest that fits, where there can be one."""
    weights = {}
    for name, told in header.items():
        begin, end = told["data_offsets"]
        weights[name] = torch.from_numpy(np.frombuffer(tensors[begin:end], "<f4").reshape(told["shape"]).copy())
    description = {name: value for name, value in description.items() if name != "digest"}
    return joined(header, {**description, "digest": checkpoints.digest_of(description, weights)}, tensors)


VALUES: list[Any] = [
    None, True, 0, 1, -1, 0.5, 2**63, 10**400, -(10**30), 1e308, -1e308, 5e-324, float("nan"), float("inf"), "",
    "x" * 2000, "\u202e\u200b", "=1+1", "<b>", [], {}, [[]], [None], "lstm", "mingru", 100, 4096, [1, 2, 3], 1e30,
]  # fmt: skip


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Ways to everything in a JSON value, a few into each long list."""
    if path:
        yield path
    if isinstance(value, dict):
        for name in value:
            yield from places(value[name], (*path, name))
    if isinstance(value, list):
        for i in {0, 1, len(value) // 2, len(value) - 1} & {*range(len(value))}:
            yield from places(value[i], (*path, i))


def edit(value: Any, chance: random.Random) -> None:
    """Change, take out, double or rename something in a JSON value, in place."""
    *way, last = chance.choice([*places(value)])
    for step in way:
        value = value[step]
    deed = chance.randrange(6)
    if deed == 0:
        del value[last]
    elif deed == 1 and isinstance(value, list):
        value.insert(last, value[last])
    elif deed == 1:
        value[f"{last} "] = value[last]
    elif deed == 2 and isinstance(value[last], int | float):
        value[last] *= chance.choice([-1, 2, 10, 1e6, 1e35])
    else:
        value[last] = chance.choice(VALUES)


def battered(data: bytes, chance: random.Random) -> bytes:
    """A file with bits or bytes changed, cut off, added or taken out; half of the time those of its header."""
    spot, piece = chance.randrange(len(data)), chance.randbytes(chance.choice([1, 8, 100]))
    if chance.random() < 0.5:
        spot %= 8 + int.from_bytes(data[:8], "little")
    flipped, rest = bytes([data[spot] ^ 1 << chance.randrange(8)]), data[spot + len(piece) :]
    begun, after = data[:spot], data[spot + 1 :]
    return chance.choice(
        [begun, data[spot:], data + piece, begun + piece + data[spot:], begun + rest, begun + piece + rest]
        + [begun + flipped + after] * 3
    )


def altered(data: bytes, chance: random.Random, sign: bool) -> bytes:
    """A checkpoint's file with something changed in it; with the digest that fits if ``sign``."""
    header, description, tensors = parts_of(data)
    names = list(header)
    deed = chance.random()
    if deed < 0.6:
        edit(description, chance)
    elif deed < 0.7:
        edit(header, chance)
    elif deed < 0.9:
        floats = np.frombuffer(tensors, "<f4").copy()
        where = chance.choice([slice(None), chance.randrange(len(floats)), slice(0, None, 7)])
        floats[where] = chance.choice([np.nan, np.inf, 0, 1e-45, -3.4e38, 1e30, 1e9, 1e6, 100])
        tensors = floats.tobytes()
    else:
        one, other = chance.choice(names), chance.choice(names)
        header[one], header[other] = header[other], header[one]
        if chance.random() < 0.5:
            del header[chance.choice([one, other])]
    return signed(header, description, tensors) if sign else joined(header, description, tensors)


def altered_table(data: bytes, chance: random.Random, sign: bool) -> bytes:
    """A table's file with something changed in it, or one of another text; with the digest that fits if ``sign``."""
    end = 8 + int.from_bytes(data[:8], "little")
    description, columns = json.loads(data[8:end]), bytearray(lzma.decompress(data[end:]))
    deed, spot = chance.random(), chance.randrange(len(columns))
    if deed < 0.4:
        edit(description, chance)
    elif deed < 0.6:
        columns[spot] = chance.choice([0, 1, columns[spot] ^ 1, 255])
    elif deed < 0.7:
        columns[spot:] = bytes([chance.choice([0, 1, 255])]) * (len(columns) - spot)
    elif deed < 0.8:
        many = 4 * chance.randrange(100)
        columns[spot : spot + many] = chance.choice([b"", columns[spot : spot + many][::-1]])
    else:
        ids = [chance.randrange(3 + chance.randrange(4)) for _ in range(chance.randrange(1, 60))]
        table = tabled(np.array(ids), ["\u202e|", "<b>", "`"], chance.randrange(1, LONGEST + 1))
        description, columns = vars(table.about), columns_of(table)
    if description == json.loads(data[8:end]) and columns == lzma.decompress(data[end:]):
        return data  # not the same in another compression
    return sealed(description, bytes(columns), None if sign else description["digest"])


@dataclass(frozen=True)
class Kind:
    """Files of one kind.

    Args:
        small, large: some to be altered, and some that are altered more rarely.
        altered: does it.
        loads, show: what the pages do with what came out.
    """

    small: list[bytes]
    large: list[bytes]
    altered: Callable[[bytes, random.Random, bool], bytes]
    loads: Callable[[bytes], Any]
    show: Callable[[Any], None]


def kinds() -> tuple[Kind, Kind]:
    """Checkpoints, and tables of counts."""
    small = [path.read_bytes() for path in SHIPPED if path.stat().st_size < 1e6]
    large = [path.read_bytes() for path in SHIPPED if path.stat().st_size >= 1e6]
    counts = [counted.dumps(tabled(np.arange(900) ** 2 % 7 + 3, [*"what is"], n)) for n in (1, 3, LONGEST)]
    return (
        Kind(small, large, altered, checkpoints.loads, show),
        Kind(counts, [path.read_bytes() for path in TABLES], altered_table, counted.loads, show_table),
    )


def alter(count: int, seed: int) -> list[str]:
    """Alter so many files; what should not have been."""
    ends, problems, slowest, (weights, counts) = Counter(), [], 0.0, kinds()
    for number in range(count):
        chance, kind = random.Random(f"{seed} {number}"), counts if number % 5 == 0 else weights
        data, sign = chance.choice(kind.large if chance.random() < 0.02 else kind.small), number % 2 == 1
        with suppress(Exception):  # what cannot even be written
            mutant = battered(data, chance) if not sign and chance.random() < 0.5 else kind.altered(data, chance, sign)
            if mutant != data:
                begun = time.process_time()
                end = tried(mutant, sign, kind)
                slowest = max(slowest, time.process_time() - begun)
                ends[end.split(":")[0]] += 1
                if not end.startswith(("refused", "taken with a digest that fits")):
                    problems.append(f"mutant {number} of seed {seed}: {end}")
    print(f"{sum(ends.values()):,} altered files: " + ", ".join(f"{n:,} {end}" for end, n in sorted(ends.items())))
    print(f"  the slowest took {slowest:.2f} s")
    return problems


def tried(mutant: bytes, sign: bool, kind: Kind) -> str:
    """How an altered file ended."""
    try:
        found = kind.loads(mutant)
        if not sign:
            return "taken, though its digest cannot fit"
        kind.show(found)
        return "taken with a digest that fits, and shown"
    except CheckpointError:
        return "refused"
    except Exception as error:
        return f"foreign: {type(error).__name__}: {error} at {traceback.extract_tb(error.__traceback__)[-1]}"


# ---- files that cost much --------------------------------------------------------------------------------------------


def made(tokens: list[str] | None = None, level: str = "char", seed: int = 0, **options: Any) -> Checkpoint:
    """An untrained checkpoint."""
    of_images = "row_size" in options
    vocabulary = Vocabulary(level, (*SPECIALS, *(tokens or "abcdefgh \n")))
    if of_images:
        vocabulary = Vocabulary("label", tuple("0123456789"))
    config = ModelConfig(**{"embedding_size": 1, "hidden_size": 4, **options})
    begun = config.labels_read and Vocabulary("label", tuple(f"label {number}" for number in range(config.labels_read)))
    task = "classify" if of_images else "caption" if begun else "language"
    torch.manual_seed(seed)
    return Checkpoint(
        model=config, train=TrainConfig("test", task=task), vocabulary=vocabulary, reads=begun or None,
        weights=checkpoints.weights_of(LanguageModel(config, len(vocabulary))), step=50,
        history={"step": [25, 50], "train_nll": [2.1, 1.9], "valid_nll": [None, 2.0]}, results={"valid_nll": 2.0},
        corpus_name="test", corpus_sha256="0" * 64, licence="none", command="none",
    )  # fmt: skip


def raw(text: bytes) -> bytes:
    """A file with that header and nothing else."""
    return len(text).to_bytes(8, "little") + text


def described(text: str) -> bytes:
    """A file with that text for a description."""
    return raw(json.dumps({"__metadata__": {"lstmviz": text}}).encode())


def filled(value: float, name: str, **options: Any) -> bytes:
    """A file in which all of one tensor is one value."""
    checkpoint = made(hidden_size=40, **options)
    checkpoint.weights[name].fill(value)
    return checkpoints.dumps(checkpoint)


def with_value(field: str, value: Any, base: Checkpoint | None = None) -> bytes:
    """A file with a value in its description, under a digest that fits: "train.learning_rate"."""
    header, description, tensors = parts_of(checkpoints.dumps(base or made()))
    *way, last = field.split(".")
    inside = description
    for step in way:
        inside = inside[step]
    inside[last] = value
    return signed(header, description, tensors)


def history(rows: int) -> dict[str, list]:
    return {"step": [*range(1, rows + 1)], "train_nll": [2.0] * rows, "valid_nll": [2.0] * rows}


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10**8))
    return buffer.getvalue()


def files() -> dict[str, Callable[[], bytes]]:
    """Files that were made to do harm, by what they are."""
    words = [f"w{number}" for number in range(1_000_000)]
    russian = str.maketrans("0123456789", "абвгдежзик")
    slowest = ("lstm", "mogrifier", "layernorm", "slstm", "fgr", "lstmp")
    found: dict[str, Callable[[], bytes]] = {
        "nothing": lambda: b"",
        "a zip": zipped,
        "a pickle": lambda: pickle.dumps({"a": list(range(1000))}),
        "32 MB of zeros": lambda: bytes(32 * 10**6),
        "a header of 2^63 bytes": lambda: (2**63).to_bytes(8, "little") + b"{}",
        "31 MB of []": lambda: raw(b"[" + b"[]," * 10_300_000 + b"[]]"),
        "31 MB of numbers": lambda: raw(b"[" + b"1.5," * 7_700_000 + b"1]"),
        "31 MB of spaces": lambda: raw(b"{" + b" " * 31 * 10**6 + b"}"),
        "200,000 [ in each other": lambda: raw(b"[" * 200_000),
        "as many [] as may be": lambda: described("[" + "[]," * 490_000 + "[]]"),
        "as many numbers as may be": lambda: described("[" + "1.5," * 1_990_000 + "1]"),
        "31 MB of [] in the description": lambda: described("[" + "[]," * 10_300_000 + "[]]"),
        "31 MB of numbers in the description": lambda: described("[" + "1.5," * 7_700_000 + "1]"),
        "31 MB of escapes in the description": lambda: described('{"a": "' + "\\u0041" * 4_400_000 + '"}'),
        "200,000 { in each other in the description": lambda: described('{"a":' * 200_000),
        "a number of 30 million digits": lambda: described('{"format": ' + "9" * 30_000_000 + "}"),
        "400,000 tensors": lambda: joined(
            {f"t{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(400_000)},
            parts_of(checkpoints.dumps(made()))[1],
            b"",
        ),
        "a corpus name of 25 MB": lambda: with_value("corpus_name", "x" * 25_000_000),
        "a licence of 5 MB": lambda: with_value("licence", "x" * 5_000_000),
        "a command of 5 MB": lambda: with_value("command", "`" * 5_000_000),
        "a digest of 5 MB": lambda: with_value("corpus_sha256", "0" * 5_000_000),
        "a corpus in train of 5 MB": lambda: with_value("train.corpus", "x" * 5_000_000),
        "a hidden variable of 5 MB": lambda: with_value(
            "hidden_variable", {"name": "x" * 5_000_000, "correlations": [[0.5] * 4]}
        ),
        "700,000 rows of history": lambda: with_value("history", history(700_000)),
        "20,000 rows of history": lambda: with_value("history", history(20_000)),
        "20,000 units": lambda: with_value("model.hidden_size", 20_000),
        "500,000 units": lambda: with_value("model.hidden_size", 500_000),
        "64 layers": lambda: with_value("model.num_layers", 64),
        "999,000 words": lambda: with_value("vocabulary", {"level": "word", "tokens": [*SPECIALS, *words[:999_000]]}),
        "a token of 20 MB": lambda: with_value("vocabulary.tokens", [*SPECIALS, "x" * 20_000_000]),
        "4,000 tokens of 900 characters": lambda: checkpoints.dumps(made([f"{n:0900}" for n in range(4_000)])),
        "200,000 words": lambda: checkpoints.dumps(made(words[:200_000], "word")),
        "299,000 words, 32 units": lambda: checkpoints.dumps(
            made(words[:299_000], "word", hidden_size=16, embedding_size=16, tie_weights=True)
        ),
        "299,000 words, an adaptive softmax": lambda: checkpoints.dumps(
            made(words[:299_000], "word", adaptive_softmax=True)
        ),
        "250,000 Russian words": lambda: checkpoints.dumps(
            made([f"слово{n}".translate(russian) for n in range(250_000)], "word")
        ),
        "40,000 words of a code, [ { everywhere": lambda: checkpoints.dumps(
            made([f"a[{n}]{{[[" for n in range(40_000)], "word")
        ),
        "an lstm of 1,300 units, 32 MB": lambda: checkpoints.dumps(made(hidden_size=1_300, embedding_size=130)),
        "2 lstms of 1,100 units, 160 MB": lambda: checkpoints.dumps(
            made(words[:9_996], "word", hidden_size=1_100, embedding_size=1_100, num_layers=2)
        ),
        "a bias of -3.4e38": lambda: filled(-3.4e38, "decoder.bias"),
        "a bias in an rnn of -3.4e38": lambda: filled(-3.4e38, "layers.0.native.bias_ih_l0", cell="rnn"),
        "losses of 1e308": lambda: with_value("history.train_nll", [1e308, -0.0]),
        "losses of 1e29": lambda: with_value(
            "history", {"step": [1, 2], "train_nll": [0.0, 1e29], "valid_nll": [1e29, 0]}
        ),
        "steps of 10**300": lambda: with_value("history.step", [10**300, 10**301]),
        "256 labels": lambda: checkpoints.dumps(made(labels_read=256)),
        "256 labels, 200,000 words": lambda: checkpoints.dumps(made(words[:200_000], "word", labels_read=256)),
        "300 labels": lambda: with_value("model.labels_read", 300, made(labels_read=256)),
        "labels that are tokens": lambda: with_value("reads.level", "char", made(labels_read=5)),
        "labels that begin nothing": lambda: with_value("train.task", "language", made(labels_read=5)),
        "labels that nobody sees": lambda: with_value("reads.tokens", [*"\n\x1b\u202e\u200b="], made(labels_read=5)),
        "forget_bias": lambda: checkpoints.dumps(made(forget_bias=1.0)),
        "chrono": lambda: checkpoints.dumps(made(chrono=64)),
        "adaptive softmax": lambda: checkpoints.dumps(made(words[:9_996], "word", adaptive_softmax=True)),
        "signs that nobody sees": lambda: checkpoints.dumps(
            replace(made([*"\x00\x1b\x7f\x85\u202e\u200b\ufeff\u2028\ufe0f=+-@\t\r \n"]), corpus_name="\u202e\x1b[2J")
        ),
    }  # fmt: skip
    for units, layers in ((513, 1), (4_000, 1), (16_000, 1), (600, 20)):
        found[f"{layers} mingru of {units:,} units"] = lambda units=units, layers=layers: checkpoints.dumps(
            made(cell="mingru", hidden_size=units, num_layers=layers)
        )
        found[f"{layers} mingru of {units:,} units, 256 labels"] = lambda units=units, layers=layers: checkpoints.dumps(
            made(cell="mingru", hidden_size=units, num_layers=layers, labels_read=256)
        )
    for units in (1_000, 4_000, 16_000):
        found[f"1 mingru of {units:,} units, rows of 128"] = lambda units=units: checkpoints.dumps(
            made(cell="mingru", hidden_size=units, row_size=128)
        )
    for cell in slowest:
        found[f"20 layers of {cell}"] = lambda cell=cell: checkpoints.dumps(
            replace(made(cell=cell, num_layers=20), corpus_name="Tiny Shakespeare")  # whose examples are long
        )
    for value in (1e9, -1e9):
        found[f"begin.weight of {value:g}"] = lambda value=value: filled(value, "begin.weight", labels_read=5)
    for name in ("embedding.weight", "decoder.weight", "layers.0.native.bias_ih_l0"):
        for value in (1e9, -1e9, 1e-40):
            found[f"{name} of {value:g}"] = lambda name=name, value=value: filled(value, name)
    for cell in CELLS:
        for value in (1e9, 1e5):
            found[f"{cell}, all of {value:g}"] = lambda cell=cell, value=value: checkpoints.dumps(blown(cell, value))
    for field in "train.learning_rate train.clip_norm train.seed step results.valid_nll model.forget_bias".split():
        for said, value in {"10**400": 10**400, "1e308": 1e308, "10**308": 10**308, "-1e308": -1e308}.items():
            found[f"{field}: {said}"] = lambda field=field, value=value: with_value(field, value)
    return found


def blown(cell: str, value: float) -> Checkpoint:
    checkpoint = made(cell=cell, hidden_size=40, embedding_size=40, num_layers=2)
    for number, weight in enumerate(checkpoint.weights.values()):
        weight.fill(value if number % 2 else -value)
    return checkpoint


# ---- tables of counts that cost much ---------------------------------------------------------------------------------


def tabled(ids: np.ndarray, tokens: list[str], n: int, level: str = "char") -> Table:
    """The counts of a text, with figures that nobody measured."""
    counts = Counts.of(ids, n, len(SPECIALS) + len(tokens))
    about = About(
        level, (*SPECIALS, *tokens), tuple(map(len, counts.keys)), corpus_name="test", corpus_sha256="0" * 64,
        licence="none", command="none", valid_nll=(2.0,) * n, test_nll=(2.0,) * n, valid_unknown=0, test_unknown=0,
    )  # fmt: skip
    return Table(counts, about)


def columns_of(table: Table) -> bytes:
    data = counted.dumps(table)
    return lzma.decompress(data[8 + int.from_bytes(data[:8], "little") :])


def sealed(description: dict[str, Any], columns: bytes, digest: str | None = None) -> bytes:
    """A table's file, as it is written, with the digest that fits or with another."""

    def text(digest: str) -> bytes:
        return json.dumps({**description, "digest": digest}, sort_keys=True).encode()

    said = text(hashlib.sha256(text("") + columns).hexdigest() if digest is None else digest)
    return len(said).to_bytes(8, "little") + said + lzma.compress(columns, preset=0)


def with_told(columns: bytes = b"", **changes: Any) -> bytes:
    """A small table's file with something else in its description, under a digest that fits."""
    table = tabled(np.arange(900) ** 2 % 7 + 3, [*"what is"], 3)
    return sealed({**vars(table.about), **changes}, columns or columns_of(table))


def tables() -> dict[str, Callable[[], bytes]]:
    """Tables of counts that were made to do harm, by what they are."""
    rng, words = np.random.default_rng(0), [f"w{number}" for number in range(VOCABULARY_MOST - len(SPECIALS))]
    few, many = words[:2_000], len(words)

    def whole(table: Table) -> bytes:
        return sealed(vars(table.about), columns_of(table))

    return {
        "counts: nothing": lambda: b"",
        "counts: 15 MB of []": lambda: raw(b"[" + b"[]," * 5_000_000 + b"[]]"),
        "counts: as many numbers as may be": lambda: raw(b"[" + b"1.5," * 1_990_000 + b"1]"),
        "counts: 200,000 [ in each other": lambda: raw(b"[" * 200_000),
        "counts: a number of 15 million digits": lambda: raw(b'{"format": ' + b"9" * 15_000_000 + b"}"),
        "counts: a licence of 5 MB": lambda: with_told(licence="x" * 5_000_000),
        "counts: a digest of 5 MB": lambda: with_told(corpus_sha256="0" * 5_000_000),
        "counts: 500,000 levels": lambda: with_told(runs=[1] * 500_000),
        "counts: a level of 10**15 runs": lambda: with_told(runs=[10**15]),
        "counts: 15,000 tokens of 900 characters": lambda: with_told(
            tokens=[*SPECIALS, *(f"{n:0900}" for n in range(15_000))]
        ),
        "counts: a bomb of 300 MB": lambda: with_told(bytes(300_000_000)),
        "counts: a bomb of as many runs as may be": lambda: with_told(
            bytes(4 * 9_250_001), tokens=(*SPECIALS, *words), runs=[250_000, 1_000_000, 2_750_000]
        ),
        "counts: an xz that asks for 1 GB": lambda: raw(counted._text(tabled(np.arange(9), [*"abcdef"], 1).about))
        + lzma.compress(bytes(99), filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 2**30, "mode": lzma.MODE_FAST}]),
        "counts: 299,996 words": lambda: whole(tabled(rng.integers(3, many, 9_000), words, 2, "word")),
        "counts: as many runs of 7 as may be": lambda: whole(tabled(rng.integers(3, many, 600_000), words, 7, "word")),
        "counts: as many pairs as may be": lambda: whole(tabled(rng.integers(3, len(few), 12_000_000), few, 2, "word")),
    }  # fmt: skip


# ---- texts that cost much --------------------------------------------------------------------------------------------

TEXT = OWN_TEXT_MOST  # bytes that are read as tokens; a text of the command line may be kept, which reads no tokens


def texts() -> dict[str, bytes]:
    """Texts that were made to do harm, by what they are."""
    return {
        "one word": b"x" * UPLOADED,
        "ends of lines": b"\n" * UPLOADED,
        "a letter a line": b"a\n" * (UPLOADED // 2),
        "a long novel": novel(),
        "words that never come again": " ".join(map(str, range(4_000_000))).encode()[:UPLOADED],
        "marks on one letter": ("e" + "\u0301" * (UPLOADED // 2 - 1)).encode(),
        "quotes in Hebrew": "\u05d0'\u05d0\"".encode() * (UPLOADED // 6),
        "joiners": "👩\u200d".encode() * (UPLOADED // 7),
        "what nobody sees": "\u202e\u200b\ufeff\u2028".encode() * (UPLOADED // 12),
        "no text at its end": b"a" * (UPLOADED - 1) + b"\xff",
        "zeros": bytes(UPLOADED),
        "a zip": zipped(),
        "nothing": b"",
    }


def novel() -> bytes:
    """Words as frequent as those of a language (Zipf), with marks, on lines."""
    rng = np.random.default_rng(0)
    words = rng.zipf(1.3, UPLOADED // 6) % 200_000
    return " ".join(f"w{word:x}" if word % 9 else f"w{word:x},\n" for word in words.tolist()).encode()[:UPLOADED]


def keeping(path: Path, folder: Path) -> Show:
    def keep(shown: Callable[[], None]) -> None:
        corpora.import_text([path], "kept", folder)
        shown()

    return keep


def reading(path: Path, level: str) -> Show:
    def act(shown: Callable[[], None]) -> None:
        vocabulary = corpora.load_corpus(path, level).vocabulary  # pyright: ignore[reportArgumentType]
        [vocabulary.display(i) for i in range(len(vocabulary))]
        shown()

    return act


# ---- in a process of its own -----------------------------------------------------------------------------------------


def apart(act: Show, expected: type[ValueError] = CheckpointError) -> tuple[str, float, float]:
    """How it ends, in a process of its own: what came out, seconds of processor time, bytes."""
    reader, writer = os.pipe()
    if not (pid := os.fork()):
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
        resource.setrlimit(resource.RLIMIT_AS, (12 * 2**30,) * 2)
        before, cost = memory("VmRSS"), []

        def shown() -> None:
            if not cost:
                cost.extend([time.process_time() - begun, memory("VmHWM") - before])

        begun, end = time.process_time(), "shown"
        try:
            act(shown)
        except ValueError as error:
            end = f"refused: {error}" if isinstance(error, expected) else f"FOREIGN {foreign(error)}"
        except BaseException as error:
            end = f"FOREIGN {foreign(error)}"
        shown()
        os.write(writer, json.dumps([end, *cost]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        said = file.read()
    _, status = os.waitpid(pid, 0)
    return tuple(json.loads(said)) if said else (f"FOREIGN died with {status}", 60.0, 0.0)


def foreign(error: BaseException) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {str(error)[:160]} ({Path(place.filename).name}:{place.lineno})"


def memory(name: str) -> float:
    """Bytes of this process."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def cost_much(chosen: Sequence[str], folder: Path) -> list[str]:
    """Try all that was made to cost much; what did."""
    problems, seconds, most = [], 0.0, 0.0

    def tell(what: str, size: int, held_before: int, end: str, took: float, held: float) -> None:
        nonlocal seconds, most
        over = max(0.0, held - (size - held_before))
        allowed = SECONDS * (2 if what.startswith("counts") else max(1, size / UPLOADED))
        bad = end.startswith("FOREIGN") or took > allowed or over > BYTES
        print(f"{'! ' if bad else '  '}{what:<42} {size / 1e6:5.1f} MB {took:6.2f} s {over / 1e6:5.0f} MB  {end:.100}")
        seconds, most = max(seconds, took), max(most, over)
        problems.extend([f"{what}: {took:.2f} s, {over / 1e6:.0f} MB, {end}"] * bad)

    for what, make in (files() | tables()).items():
        if what in chosen:
            data = make()
            size = len(data)
            act = of_table(data) if what.startswith("counts") else of_file(data, folder / "large.safetensors")
            before = size if size <= UPLOADED else 0  # else it is read there
            del data
            tell(what, size, before, *apart(act))
    path = folder / "text.txt"
    for what, data in texts().items():
        if what in chosen:
            path.write_bytes(data)
            tell(f"keep: {what}", len(data), 0, *apart(keeping(path, folder / "corpora"), ValueError))
            path.write_bytes(data[:TEXT].decode("utf-8", "ignore").encode())  # no sign is cut
            for level in ("char", "word"):
                tell(f"read as {level}s: {what}", path.stat().st_size, 0, *apart(reading(path, level), ValueError))
            shutil.rmtree(folder / "corpora", ignore_errors=True)
    print(f"at most {seconds:.2f} s of processor time and {most / 1e6:.0f} MB over a file's own size")
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=13_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="a few of what was made to cost much")
    parser.add_argument("--only", default="", help="of that those with this in their name")
    arguments = parser.parse_args()
    show(checkpoints.loads(SHIPPED[0].read_bytes()))  # what is imported late is no file's doing
    show_table(counted.loads(TABLES[0].read_bytes()))
    with tempfile.TemporaryDirectory() as folder:
        chosen = SHORT if arguments.short else [*files(), *tables(), *texts()]
        problems = cost_much([what for what in chosen if arguments.only in what], Path(folder))
    problems += alter(arguments.mutants, arguments.seed)
    if problems:
        sys.exit("\n".join([f"{len(problems)} should not have been:", *problems]))


if __name__ == "__main__":
    main()
