"""Files on a disk that others use, too: written whole, read with care, and what goes wrong with them said in words.

Whoever looks at a file that is written here finds the old one or the whole new one; and what lies in a folder is not
taken for what its name says before it was looked at.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import re
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of an OSError: there is no room
JSON_MOST = 16 * 2**20  # bytes of a JSON file; the largest of ours, of a line-up, has some thousand
WHOLE_MOST = 2**53  # of a whole number in one: what follows is not told apart in a browser


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside the target, flush to disk, then rename over it. A folder that was removed is not made again."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        error.filename = str(path)  # not the one beside it, which nobody knows
        del error.filename2
        raise


def read_bytes(path: Path, most: float = math.inf, start: int = 0) -> bytes:
    """What a file holds, as `read_bytearray`."""
    return bytes(read_bytearray(path, most, start))


def read_bytearray(path: Path, most: float = math.inf, start: int = 0) -> bytearray:
    """What a file holds. Of a pipe nothing is waited for, and of a device nothing is read.

    Args:
        most: bytes that it may have.
        start: the first that is read.

    Raises:
        OSError: there is none, it is no file, it has more, or it may not be read.
    """
    wait = getattr(os, "O_NONBLOCK", 0)  # a pipe without a writer would be waited for
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | wait)) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no file", str(path))
        if found.st_size > most:
            said = f"it has {found.st_size / 1e6:,.4g} MB, and at most {most / 1e6:,.4g} MB are read"
            raise OSError(errno.EINVAL, said, str(path))
        file.seek(start)
        data = bytearray(max(found.st_size - start, 0))
        del data[file.readinto(data) :]
        return data


def read_json(path: Path, most: float = JSON_MOST) -> Any:
    """What a JSON file holds.

    Raises:
        OSError: as `read_bytes`.
        ValueError: it is no JSON; the sentence names the file.
    """
    try:
        return parsed(read_bytes(path, most))
    except ValueError as error:
        raise ValueError(f"{path.name} is damaged: {error}") from error


def parsed(data: bytes) -> Any:
    """JSON.

    Raises:
        ValueError: it is none.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is empty" if not data.strip(b" \r\n\t\0") else "it is no JSON") from error


def fitted(kind: type[T], given: object) -> T:
    """A dataclass out of parsed JSON: every value of the type of its field; what is not known is left out.

    Whole numbers are from 0 to ``WHOLE_MOST``, all numbers are finite, and text can be written as UTF-8.

    Args:
        kind: its fields are of int, float, bool, str, tuples of one of these, literals, or one of these or None.

    Raises:
        ValueError: one is not, or one that has no default is missing.
    """
    if not isinstance(given, dict):
        raise ValueError(f"it holds {_short(given)} and no object")
    types, known = _types(kind), {}
    for field in dataclasses.fields(kind):  # pyright: ignore[reportArgumentType]
        if field.name in given:
            try:
                known[field.name] = _fitted(types[field.name], given[field.name])
            except TypeError as error:
                raise ValueError(f"{field.name} is {_short(given[field.name])}") from error
        elif field.default is dataclasses.MISSING:
            raise ValueError(f"{field.name} is missing")
    return kind(**known)


def read_fitted(kind: type[T], path: Path, most: float = JSON_MOST) -> T:
    """A dataclass out of a JSON file.

    Raises:
        OSError, ValueError: as `read_json` and `fitted`; the sentence names the file.
    """
    given = read_json(path, most)
    try:
        return fitted(kind, given)
    except ValueError as error:
        raise ValueError(f"{path.name} is damaged: {error}") from error


def _fitted(of: Any, value: object) -> Any:
    """A value, if it is of that type; else a TypeError."""
    origin, inner = get_origin(of), get_args(of)
    if origin is UnionType:
        return None if value is None else _fitted(inner[0], value)
    if origin is tuple and isinstance(value, list):
        return tuple(_fitted(inner[0], each) for each in value)
    if of is str and isinstance(value, str):
        return sayable(value)
    fits = {
        Literal: lambda: isinstance(value, str) and value in inner,
        bool: lambda: isinstance(value, bool),
        int: lambda: type(value) is int and 0 <= value <= WHOLE_MOST,
        float: lambda: type(value) in (int, float) and abs(value) <= sys.float_info.max,  # type: ignore[arg-type]
    }
    if not fits.get(origin or of, lambda: False)():
        raise TypeError
    return value


_types = cache(get_type_hints)


def _short(value: object) -> str:
    """A value in a sentence."""
    said = sayable(f"{value!r}") if not isinstance(value, int) or abs(value) < 1e15 else "a number beyond all bounds"
    return said if len(said) <= 40 else f"{said[:39]}…"


# ---- names and reasons -----------------------------------------------------------------------------------------------


def sayable(text: str) -> str:
    """A text that can be written as UTF-8: what is none in it, a byte of a file's name for instance, is shown as \\xff
    or \\udcff.
    """
    return re.sub("[\ud800-\udfff]", lambda half: _escaped(half[0]), text)


def name_of(path: Path | str) -> str:
    """The name of a file or folder as text that can be shown in a line, linked and looked for.

    A name on a disk is bytes and may be no UTF-8, or have line ends: what is none, control characters and the backslash
    itself are written as \\xff; so different names stay different, and `named` finds the way back.
    """
    return re.sub(r"[\\\x00-\x1f\x7f\ud800-\udfff]", lambda sign: _escaped(sign[0]), Path(path).name)


def named(name: str) -> str:
    """Undo `name_of`."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda code: os.fsdecode(bytes([int(code[1], 16)])), name)


def _escaped(sign: str) -> str:
    code = ord(sign)
    return f"\\u{code:04x}" if 0xD800 <= code < 0xDC80 or code > 0xDCFF else f"\\x{code & 0xFF:02x}"


def reason(error: BaseException) -> str:
    """Why something failed, as a sentence for a person."""
    if not isinstance(error, OSError) or error.errno is None or not error.strerror:
        return sayable(str(error))
    name = f"{error.filename}" if error.filename else ""
    given = {
        errno.ENOSPC: "the disk is full; make room and try again: what was saved before is whole",
        errno.EDQUOT: "your share of the disk is used up; make room and try again: what was saved before is whole",
        errno.EFBIG: f"{name or 'a file'} would become larger than a file may be here (see ulimit -f); raise that "
        "limit and try again: what was saved before is whole",
        errno.EROFS: f"{name or 'the folder'} cannot be written ({error.strerror}); choose another folder",
        errno.ENOENT: f"there is no file or folder at {name}; it may have been moved or deleted",
        errno.ENOTDIR: f"{name} is not in a folder, but under a file",
        errno.EISDIR: f"{name} is a folder; it should be a file",
        errno.ELOOP: f"{name} is a link that leads to itself",
        errno.ENAMETOOLONG: "the name is longer than the disk takes; choose a shorter one",
        errno.EMFILE: "too many files are open (see ulimit -n); stop something else and try again",
        errno.EIO: f"the disk fails at {name or 'a file'}; copy what is on it to another one",
    }
    given[errno.EACCES] = given[errno.EPERM] = (
        f"{name or 'the folder'} may not be used ({error.strerror}); change its rights or choose another"
    )
    if error.errno in given and (name or error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)):
        return sayable(given[error.errno])
    return sayable(f"{name} cannot be used ({error.strerror})" if name else f"the system says: {error.strerror}")


@contextmanager
def in_a_sentence(speaks: bool = True, shown: Callable[[str], str] = str) -> Iterator[None]:
    """A problem with the input or the disk ends the process with one sentence, not a traceback.

    Where there is no room, none may be left for the sentence either: so the process ends with the number of the error.

    Args:
        speaks: False where another process says it.
        shown: makes of the sentence what a person sees of it.
    """
    try:
        yield
    except (ValueError, FloatingPointError, OSError) as error:
        if not (isinstance(error, OSError) and error.errno in FULL):
            sys.exit(f"lstmviz: {shown(reason(error))}" if speaks else 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what stdout still holds finds no room
        with suppress(OSError):
            print(f"lstmviz: {shown(reason(error))}", file=sys.stderr, flush=True)
        sys.exit(error.errno)
