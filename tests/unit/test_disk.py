"""Files that others use, too: what may stand in one, what it may be called, and why it cannot be used."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from lstmviz.disk import fitted, name_of, named, parsed, read_bytes, read_json, reason, write_atomically

NAMES = [b"lstm__v2", b"a b", b"'\"`$*|", b"%20#?&=", b"-x", b"..x", "🧠 ü".encode(), b"a\nb\r\t\x7f", b"x" * 255]
NAMES += [b"\xff\xfe", b"\\xff", b"\\", b"x as gru", b"run x", b"uploaded x", b"\xed\xa0\x80"]


@dataclass(frozen=True)
class Figures:
    count: int
    share: float
    state: Literal["good", "bad"]
    best: float | None = None
    names: tuple[str, ...] = ()
    is_whole: bool = False


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_any_bytes_is_text_and_finds_its_file_again(name: bytes, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"here")
    said = name_of(path)
    said.encode("utf-8")
    assert "\n" not in said and (tmp_path / named(said)).read_bytes() == b"here"


def test_different_names_stay_different_and_usual_ones_stay_as_they_are() -> None:
    assert len({name_of(os.fsdecode(name)) for name in NAMES}) == len(NAMES)
    assert name_of("my run-1_b.ü") == "my run-1_b.ü"


@pytest.mark.parametrize(
    "given",
    [
        5, None, [], {}, {"count": 1, "share": 0.5}, {"count": -1}, {"count": True}, {"count": 1.0}, {"count": 10**400},
        {"share": 10**400}, {"share": float("nan")}, {"share": float("inf")}, {"share": "1"}, {"state": "other"},
        {"state": []}, {"best": "x"}, {"names": "U"}, {"names": [1]}, {"is_whole": 1},
    ],
)  # fmt: skip
def test_what_is_not_of_its_type_is_refused(given: object) -> None:
    good = {"count": 1, "share": 1, "state": "good"}
    wrong = {**good, **given} if isinstance(given, dict) and 0 < len(given) < 2 else given
    with pytest.raises(ValueError):
        fitted(Figures, wrong)


def test_what_is_of_its_type_is_taken_and_the_unknown_left_out() -> None:
    given = parsed(b'{"count": 1, "share": 2, "state": "bad", "best": 0.5, "names": ["a", "\\udcff"], "later": []}')
    assert fitted(Figures, given) == Figures(1, 2, "bad", 0.5, ("a", "\\xff"))


@pytest.mark.parametrize("data", [b"", b"\0\0", b"{", b"[" * 10**5, b"\xff", b"hello"])
def test_what_is_no_json_is_said_with_the_name_of_its_file(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "status.json").write_bytes(data)
    with pytest.raises(ValueError, match=r"status\.json is damaged: it is"):
        read_json(tmp_path / "status.json")


def test_a_pipe_a_device_a_folder_and_what_is_too_large_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"12345")
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "loop", Path("/dev/zero"), tmp_path / "none"):
        with pytest.raises(OSError):
            read_bytes(path)  # and nothing is waited for
    with pytest.raises(OSError, match="at most"):
        read_bytes(tmp_path / "large", most=4)
    assert read_bytes(tmp_path / "large", start=3) == b"45"


def test_no_error_of_the_system_is_said_as_a_number() -> None:
    for number in errno.errorcode:
        for path in ([], [os.fsdecode(b"runs/\xff")]):
            said = reason(OSError(number, os.strerror(number), *path))
            said.encode("utf-8")
            assert "Errno" not in said and "None" not in said and len(said) > 20


def test_an_error_names_the_file_that_was_to_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError) as error:
        write_atomically(tmp_path / "gone" / "status.json", b"")
    assert reason(error.value) == (
        f"there is no file or folder at {tmp_path / 'gone' / 'status.json'}; it may have been moved or deleted"
    )
