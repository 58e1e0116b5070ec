"""Texts on the disk: read in pieces, imported, fetched."""

import gzip
import hashlib
import http.server
import json
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lstmviz.config import TrainConfig
from lstmviz.data import corpora
from lstmviz.data.corpora import fetch_text, find_text, import_text, kept, load_corpus, open_corpus
from lstmviz.data.vocabulary import SPECIALS, Vocabulary


def test_one_character_file_is_cut_in_order(tmp_path):
    path = tmp_path / "song.txt"
    path.write_text("abcdefghij" * 10, encoding="utf-8")
    corpus = load_corpus(path, "char")
    assert [len(corpus.train), len(corpus.valid), len(corpus.test)] == [90, 10, 10]
    assert corpus.vocabulary.decode(corpus.valid.tolist()) == "abcdefghij"
    assert corpus.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (corpus.name, corpus.licence) == ("song", "not stated")


def test_one_word_file_is_cut_in_three_and_split(tmp_path):
    path = tmp_path / "prose.txt"
    path.write_text("Hello, world!\n" * 10, encoding="utf-8")
    corpus = load_corpus(path, "word")
    assert [len(corpus.train), len(corpus.valid), len(corpus.test)] == [40, 5, 5]
    assert corpus.vocabulary.decode(corpus.test.tolist()) == "Hello , world !\n"


def test_a_folder_has_three_files_and_words_outside_the_vocabulary_become_unk(tmp_path):
    for split, text in {"train": "a a a b b c\n", "valid": "a b\n", "test": "c z\n"}.items():
        (tmp_path / f"wiki.{split}.txt").write_text(text, encoding="utf-8")
    corpus = load_corpus(tmp_path, "word", max_words=2)
    assert corpus.vocabulary.tokens == (*SPECIALS, "a", "b")
    assert corpus.vocabulary.decode(corpus.test.tolist()) == "<unk> <unk>\n"
    again = load_corpus(tmp_path, "word", vocabulary=Vocabulary.of("word", ["z", "b"]))
    assert again.vocabulary.decode(again.test.tolist()) == "<unk> z\n"


def test_unusable_corpora_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no file at"):
        load_corpus(tmp_path / "missing.txt", "char")
    with pytest.raises(ValueError, match='exactly one file with "train"'):
        load_corpus(tmp_path, "char")
    path = tmp_path / "text.txt"
    path.write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match=r"not UTF-8 text \(near byte 3\)"):
        load_corpus(path, "char")
    path.write_bytes(b"ab")
    with pytest.raises(ValueError, match="at least 2 are needed"):
        load_corpus(path, "char")


def test_the_marks_of_windows_are_no_characters(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffab\r\n".encode() * 40)
    (tmp_path / "b.txt").write_bytes(b"ab\n" * 40)
    windows, unix = (load_corpus(tmp_path / name, "char") for name in ("a.txt", "b.txt"))
    assert "\r" not in windows.vocabulary.tokens
    assert unix.vocabulary.tokens == tuple(t for t in windows.vocabulary.tokens if t != "\ufeff")
    assert windows.train[0] == windows.vocabulary.ids["a"]


@pytest.mark.parametrize("level", ["char", "word"])
@pytest.mark.parametrize(
    "text", ["To be, or not to be: that is\nthe question.\r\n" * 9, "one line, no end " * 40, "日本 🦊\n" * 60]
)
def test_the_size_of_a_piece_changes_nothing(tmp_path, monkeypatch, level, text):
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode())
    whole = load_corpus(path, level)
    monkeypatch.setattr(corpora, "PIECE", 13)
    pieces = load_corpus(path, level)
    assert pieces.vocabulary == whole.vocabulary
    for part in corpora.PARTS:
        assert torch.equal(getattr(pieces, part), getattr(whole, part))
    if level == "char":
        assert whole.vocabulary.decode(whole.train.tolist()) == text.replace("\r\n", "\n")[: len(whole.train)]


def test_a_word_longer_than_a_piece_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "PIECE", 10)
    (tmp_path / "text.txt").write_text("x" * 300)
    corpus = load_corpus(tmp_path / "text.txt", "word")
    assert corpus.vocabulary.decode(corpus.train.tolist()) == " ".join(["x" * 10] * len(corpus.train))


def test_no_more_than_so_much_of_one_file_is_held_out(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "HELD_OUT_MOST", 10)
    (tmp_path / "text.txt").write_text("ab " * 100)
    chars, words = (load_corpus(tmp_path / "text.txt", level) for level in ("char", "word"))
    assert [len(chars.train), len(chars.valid), len(chars.test)] == [290, 10, 10]
    assert [len(words.train), len(words.valid), len(words.test)] == [80, 10, 10]


def test_too_many_distinct_words_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "WORDS_MOST", 50)
    (tmp_path / "text.txt").write_text(" ".join(map(str, range(60))))
    with pytest.raises(ValueError, match="more than 50 distinct words"):
        load_corpus(tmp_path / "text.txt", "word")


def test_what_is_no_text_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("text.txt", "some text")
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"some text"))
    (tmp_path / "nul.txt").write_bytes(b"some\x00text")
    (tmp_path / "empty.txt").write_bytes(b"")
    for name, message in {
        "a.zip": "a zip archive; unpack it",
        "a.gz": "not UTF-8 text",
        "nul.txt": "holds NUL characters",
        "empty.txt": "at least 2 are needed",
    }.items():
        with pytest.raises(ValueError, match=message):
            load_corpus(tmp_path / name, "char")
    for name in ("a.zip", "a.gz", "nul.txt", "empty.txt"):
        with pytest.raises(ValueError):
            import_text([tmp_path / name], "copy", tmp_path / "corpora")
    assert list((tmp_path / "corpora").iterdir()) == []  # and nothing is left of the attempt


def test_an_imported_text_is_kept_with_its_ids(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for part, text in (("one", "a b c\r\n"), ("two", "a b\n" * 20)):
        (tmp_path / f"{part}.txt").write_bytes(text.encode())
    seen = []
    files = [tmp_path / "one.txt", tmp_path / "two.txt"]
    folder = import_text(files, "mine", Path("corpora"), progress=lambda *amounts: seen.append(amounts))
    assert folder == Path("corpora/mine") and [*kept(folder.parent)] == ["mine"]
    assert find_text("mine") == folder.absolute()
    assert (folder / "text.txt").read_bytes() == b"a b c\n" + b"a b\n" * 20
    assert seen[-1] == (87, 87)
    config = TrainConfig("mine", level="word", max_words=2)
    corpus = open_corpus(config)
    assert corpus.sha256 == hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    assert corpus.vocabulary.tokens == (*SPECIALS, "a", "b")
    assert (folder / "word-2-1.ids").stat().st_size == 4 * 64
    (folder / "text.txt").write_text("it is not read again")
    again = open_corpus(config)
    assert again.vocabulary == corpus.vocabulary and torch.equal(again.train, corpus.train)
    with pytest.raises(ValueError, match="a text called mine already"):
        import_text(files, "mine", Path("corpora"))


def test_ids_that_other_rules_gave_are_made_anew(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hindi.txt").write_text("हिन्दी में क्षत्रिय\n" * 20, encoding="utf-8")
    folder = import_text([tmp_path / "hindi.txt"], "hindi", Path("corpora"))
    corpus = open_corpus(TrainConfig("hindi", level="word"))
    assert corpus.vocabulary.tokens == (*SPECIALS, "क्षत्रिय", "में", "हिन्दी")
    index = folder / "word-all-1.json"
    kept_before = {"tokens": [*SPECIALS, "ह"], "bounds": json.loads(index.read_text())["bounds"]}
    index.write_text(json.dumps(kept_before))  # as an earlier version wrote it
    again = open_corpus(TrainConfig("hindi", level="word"))
    assert again.vocabulary == corpus.vocabulary and torch.equal(again.train, corpus.train)


def test_the_three_parts_of_a_text_are_imported_as_such(tmp_path):
    for part in corpora.PARTS:
        (tmp_path / f"wiki.{part}.tokens").write_text(f"{part} a b\n" * 3)
    by_folder = import_text([tmp_path], "first", tmp_path / "kept")
    by_files = import_text(sorted(tmp_path.glob("*.tokens")), "second", tmp_path / "kept")
    for folder in (by_folder, by_files):
        corpus = load_corpus(folder, "word")
        assert corpus.vocabulary.decode(corpus.valid.tolist()).startswith("<unk> a b")
    assert load_corpus(by_folder, "word").sha256 == load_corpus(by_files, "word").sha256


def test_the_first_part_decides_how_all_are_split(tmp_path):
    tokenised = "the man did n't go , he said .\n"
    for part, text in (("train", tokenised * 4), ("valid", tokenised), ("test", "the man did n't go yahoo!\n")):
        (tmp_path / f"{part}.txt").write_text(text)
    corpus = load_corpus(tmp_path, "word")
    assert corpus.vocabulary.decode(corpus.test.tolist()) == "the man did n't go <unk>\n"
    (tmp_path / "train.txt").write_text(tokenised * 4 + "he works for Yahoo! now .\n")  # one mark changes nothing
    assert "n't" in load_corpus(tmp_path, "word").vocabulary.ids


def test_parts_are_told_by_whole_words_and_files_end_their_lines(tmp_path):
    for part in corpora.PARTS:
        (tmp_path / f"latest.{part}.txt").write_text(f"{part} {part}")
    folder = import_text(sorted(tmp_path.glob("latest.*")), "latest", tmp_path / "kept")
    assert (folder / "valid.txt").read_text() == "valid valid"
    chapters = [tmp_path / "latest.train.txt", tmp_path / "latest.test.txt"]
    assert (import_text(chapters, "two", tmp_path / "kept") / "text.txt").read_text() == "train train\ntest test"


def test_a_kept_text_goes_before_a_folder_and_heals(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "novel.txt").write_text("a b c " * 50)
    folder = import_text([Path("novel.txt")], "novel", Path("corpora"))
    Path("novel").mkdir()
    (tmp_path / "novel" / "corpus.json").write_text('{"of": "somebody else"}')
    assert find_text("novel") == folder.absolute()
    with pytest.raises(ValueError, match="exactly one file"):
        load_corpus(tmp_path / "novel", "char")
    whole = load_corpus(folder, "char")
    train = whole.train.clone()
    (folder / "char-all-1.ids").write_bytes(b"cut")
    assert torch.equal(load_corpus(folder, "char").train, train)
    for words in (1, 2, 3, 4):
        load_corpus(folder, "word", words)
    assert len(list(folder.glob("*.ids"))) == corpora.KEPT_IDS
    assert torch.equal(load_corpus(folder, "char").train, train)


def test_several_cut_a_kept_text_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "KEPT_IDS", 1)
    (tmp_path / "text.txt").write_text("the cat sat on the mat .\n" * 300)
    folder = import_text([tmp_path / "text.txt"], "cats", tmp_path / "corpora")
    (folder / ".ids.left").write_bytes(b"half")  # by a process that was killed
    with ThreadPoolExecutor(4) as pool:
        cut = list(pool.map(lambda words: load_corpus(folder, "word", words), [10, 11, 12, 10]))
    assert [len(corpus.vocabulary) for corpus in cut] == [len(cut[0].vocabulary)] * 4
    assert not list(folder.glob(".ids.*"))


@pytest.mark.parametrize("name", ["../up", "", ".hidden", "a/b", "a b", "x" * 101, "brackets"])
def test_names_that_are_none_are_refused(tmp_path, name):
    (tmp_path / "text.txt").write_text("some text")
    with pytest.raises(ValueError, match=r"the name is|a generated grammar"):
        import_text([tmp_path / "text.txt"], name, tmp_path / "corpora")
    assert not (tmp_path / "up").exists()


@pytest.fixture
def server(tmp_path):
    """An address on this machine that serves a folder, and the folder."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}", folder
        serving.shutdown()


def test_a_text_is_fetched_checked_and_kept(tmp_path, monkeypatch, server):
    url, folder = server
    text = ("to be or not to be\n" * 20_000).encode()
    (folder / "input.txt").write_bytes(text)
    source = replace(
        corpora.SOURCES["tinyshakespeare"],
        urls=(f"{url}/gone.txt", f"{url}/input.txt"),  # the first mirror is down
        sha256=hashlib.sha256(text).hexdigest(),
    )
    monkeypatch.setitem(corpora.SOURCES, "tinyshakespeare", source)
    seen: list[tuple[int, int]] = []
    path = fetch_text("tinyshakespeare", tmp_path / "corpora", lambda *amounts: seen.append(amounts))
    assert (path / "text.txt").read_bytes() == text
    assert json.loads((path / "corpus.json").read_text())["name"] == "Tiny Shakespeare"
    assert len(seen) > 2 and seen[0][0] < seen[-1][0] == seen[-1][1] == len(text)
    (folder / "input.txt").unlink()
    assert fetch_text("tinyshakespeare", tmp_path / "corpora") == path  # it is there already


def test_an_archive_is_unpacked(tmp_path, monkeypatch, server):
    url, folder = server
    with zipfile.ZipFile(folder / "wiki.zip", "w") as archive:
        for part in corpora.PARTS:
            archive.writestr(f"wikitext-2/wiki.{part}.tokens", f"the {part} part\n" * 3)
    digest = hashlib.sha256((folder / "wiki.zip").read_bytes()).hexdigest()
    source = replace(corpora.SOURCES["wikitext-2"], urls=(f"{url}/wiki.zip",), sha256=digest)
    monkeypatch.setitem(corpora.SOURCES, "wikitext-2", source)
    corpus = load_corpus(fetch_text("wikitext-2", tmp_path / "corpora"), "word")
    assert (corpus.name, corpus.licence) == ("WikiText-2", "CC BY-SA 3.0")
    assert corpus.vocabulary.decode(corpus.train[:3].tolist()) == "the train part"


def test_what_is_not_the_text_is_not_kept(tmp_path, monkeypatch, server):
    url, folder = server
    (folder / "input.txt").write_bytes(b"something else")
    source = replace(corpora.SOURCES["tinyshakespeare"], urls=(f"{url}/input.txt",))
    monkeypatch.setitem(corpora.SOURCES, "tinyshakespeare", source)
    with pytest.raises(ValueError, match="does not match the known hash"):
        fetch_text("tinyshakespeare", tmp_path / "corpora")
    monkeypatch.setitem(corpora.SOURCES, "tinyshakespeare", replace(source, urls=("http://127.0.0.1:9/x",)))
    with pytest.raises(OSError, match=r"127\.0\.0\.1 cannot be reached.*corpus import"):
        fetch_text("tinyshakespeare", tmp_path / "corpora")
    with pytest.raises(ValueError, match="those that can be fetched are tinyshakespeare, wikitext-2"):
        fetch_text("../x", tmp_path / "corpora")
    assert not (tmp_path / "corpora").exists() or list((tmp_path / "corpora").iterdir()) == []
