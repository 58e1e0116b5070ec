"""The address of a model: what menus show and links say, read back as it was written."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmviz import checkpoint as checkpoints
from lstmviz.cells import CELLS
from lstmviz.checkpoint import CheckpointError
from lstmviz.ui import sources
from lstmviz.ui.sources import Address, Copy, Member, Shipped, Trained, Uploaded, parse

names = st.text("abc-_.09", min_size=1)
words = st.text("abc/ ", min_size=1)
addresses: st.SearchStrategy[Address] = st.one_of(
    st.builds(Shipped, names),
    st.builds(Member, names, st.sampled_from([*CELLS])),
    st.builds(Trained, st.lists(names, min_size=1, max_size=2).map("/".join)),
    st.builds(lambda text, cell: Uploaded(f"{text} {cell} 01ab2f"), words, st.sampled_from([*CELLS])),
)


@given(st.one_of(addresses, st.builds(Copy, addresses, st.sampled_from([*CELLS]))))
def test_an_address_is_read_as_it_was_written(address: Address) -> None:
    assert parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("brackets", Shipped("brackets")),
        ("recall/gru", Member("recall", "gru")),
        ("run abc-1126-101500", Trained("abc-1126-101500")),
        ("run line/lstm", Trained("line/lstm")),
        ("uploaded my text lstm 0123ab", Uploaded("my text lstm 0123ab")),
        ("recall/lstm as lstm_split", Copy(Member("recall", "lstm"), "lstm_split")),
        ("x as what", Shipped("x as what")),
    ],
)
def test_old_links_mean_what_they_meant(text: str, address: Address) -> None:
    assert parse(text) == address and str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "gone", "..", "../../secret", "recall/..", "../secret", "recall/../../secret", "a/b/c", "run ", "run ..",
        "run ../secret", "run a/../secret", "run a/b/c", "run /secret", "/secret", "uploaded x", "a\0b",
    ],
)  # fmt: skip
def test_no_address_leads_out_of_its_folder(
    text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_checkpoint
) -> None:
    """Nor to a file that is there."""
    folder = tmp_path / "checkpoints"
    for path in (
        folder / "lineups/recall/gru", tmp_path / "secret", tmp_path / "secret/best", tmp_path / "runs/a/b/c/best",
        folder / "a/b/c", folder / "lineups/a/b/c",
    ):  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoints.save(make_checkpoint(), path.with_suffix(".safetensors"))
    monkeypatch.setattr(sources, "FOLDER", folder)
    monkeypatch.setenv("LSTMVIZ_HOME", str(tmp_path))
    with pytest.raises(CheckpointError, match="there is no checkpoint called"):
        parse(text).open()
