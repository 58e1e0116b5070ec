"""A page to keep, as the command and the library write it; what it does in a browser is in tests/web."""

import base64
import gzip
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lstmviz
from lstmviz import cli
from lstmviz.checkpoint import load, save
from lstmviz.home import SHIPPED
from lstmviz.page import live_page

MORE_MOST = 250_000  # bytes beside 4/3 of the weights


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command ``live`` in this process and gives what it printed."""

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["lstmviz", "live", *map(str, arguments)])
        cli.main()
        return capsys.readouterr().out

    return run


def test_the_command_writes_a_page_of_a_shipped_model(run, tmp_path):
    printed = run(tmp_path / "out.html", "brackets")
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert f"{len(page.encode()) / 1e3:,.0f} kB" in printed
    weights = sum(weight.size for weight in load(SHIPPED / "checkpoints" / "brackets.safetensors").weights.values())
    assert len(page.encode()) - 4 / 3 * 4 * weights < MORE_MOST
    assert (
        "<title>brackets · lstm, 16 units" in page
        and "licence of the data" in page
        and "python -m lstmviz train" in page
    )
    assert not re.search(r"(?:src|href)=\"(?!data:)|url\(|@import|https?://", page)  # nothing that loads from anywhere
    assert "default-src 'none'" in page
    assert lstmviz.live_page({"brackets": load(SHIPPED / "checkpoints" / "brackets.safetensors")}) == page


def test_what_a_file_says_is_text(make_checkpoint):
    strange = replace(
        make_checkpoint(), corpus_name="</script><img src=x>", licence="<b>&", command="--name '</table>'"
    )
    page = live_page({"</title><script>alert(1)</script>": strange})
    assert page.count("<script") == 4 and "<img" not in page and "<b>" not in page and "alert(1)</script>" not in page


def test_the_weights_are_those_of_the_checkpoint(make_checkpoint):
    models = {"a": make_checkpoint(), "b": make_checkpoint(cell="gru")}
    blocks = re.findall(r'class="packed">([^<]*)<', live_page(models))
    _, header, *weights = (gzip.decompress(base64.b64decode(block)) for block in blocks)
    assert [each["title"][:4] for each in json.loads(header)["models"]] == ["a · ", "b · "]
    for each, planes in zip(models.values(), weights, strict=True):
        numbers = np.frombuffer(planes, np.uint8).reshape(4, -1).T.tobytes()
        assert all(weight.tobytes() in numbers for weight in each.weights.values())


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (["nowhere"], "nowhere"),
        ([], "0 models"),
        (["tag/between-lstm-bidirectional"], "cannot run in a page of its own: it reads in both directions"),
        (["brackets", "digits-rnn"], "different tasks"),
        (["digits-rnn", "mnist-rnn-128"], "8 × 8 and 28 × 28"),
        (["brackets", "brackets"], "two models are called brackets"),
    ],
)
def test_what_makes_no_page_is_said_in_a_sentence(run, tmp_path, models, said):
    models = [SHIPPED / "checkpoints" / f"{name}.safetensors" if "/" in name else name for name in models]
    with pytest.raises(SystemExit) as refused:
        run(tmp_path / "out.html", *models)
    assert not (tmp_path / "out.html").exists()
    if models:
        assert said in str(refused.value)


def test_another_ending_is_refused(run, tmp_path):
    with pytest.raises(SystemExit, match=r"must end in \.html"):
        run(tmp_path / "out.txt", "brackets")


def test_weights_that_are_no_numbers_are_refused(make_checkpoint):
    spoiled = make_checkpoint()
    spoiled.weights["embedding.weight"][1] = float("nan")  # of <unk>, which it does not meet before it is typed
    with pytest.raises(ValueError, match="no finite numbers"):
        live_page({"spoiled": spoiled})


def test_a_file_of_ones_own_is_called_by_its_name(run, tmp_path, make_checkpoint):
    save(make_checkpoint(), tmp_path / "mine.safetensors")
    run(tmp_path / "out.html", tmp_path / "mine.safetensors")
    assert "<title>mine · lstm" in Path(tmp_path / "out.html").read_text(encoding="utf-8")
