"""Images with their labels: the 8 × 8 digits that come with scikit-learn, and MNIST out of its four idx files.

An idx file is two zero bytes, the type of its values (8: uint8), the number of its axes, the length of each (uint32,
big-endian), then the values.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lstmviz.config import IMAGES_LONG, IMAGES_MOST, SIDE_MOST
from lstmviz.data.vocabulary import Corpus, Vocabulary
from lstmviz.disk import name_of, read_bytes

if TYPE_CHECKING:
    pass

DIGITS = "digits"
FILES = {"images-idx3": 3, "labels-idx1": 1}  # of each part, and how many axes they have
# MNIST, by the digest of its test images, unpacked.
MNIST_SHA256 = "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161"


def open_images(name: str, labels: Vocabulary | None = None, permuted: int | None = None) -> Corpus:
    """The images that a name says, in an order that is drawn once and for all.

    Args:
        name: "digits", or the path of a folder with the idx files of MNIST (packed with gzip or not), or such files.
        labels: those that a model knows; by default what the images have.
        permuted: as in TrainConfig.

    Raises:
        ValueError: there are no such images, one of the files is damaged, or they have a label that is not known.
    """
    import torch

    corpus = digits() if name == DIGITS else idx_images(Path(name))
    if permuted is not None:
        corpus = _permuted(corpus, permuted)
    if labels is None or labels == corpus.vocabulary:
        return corpus
    if strange := [label for label in corpus.vocabulary.tokens if label not in labels.ids]:
        known = ", ".join(labels.tokens)
        raise ValueError(f"the images have the label {strange[0]}, which the model does not know; it knows {known}")
    order = torch.tensor([labels.ids[label] for label in corpus.vocabulary.tokens], dtype=torch.uint8)
    parts = [part.clone() for part in (corpus.train, corpus.valid, corpus.test)]
    for part in parts:
        part[..., -1] = order[part[..., -1].long()]
    return Corpus(corpus.name, labels, *parts, sha256=corpus.sha256, licence=corpus.licence)


@cache
def digits() -> Corpus:
    """1,797 digits of 13 people, 8 × 8 pixels of 17 greys, a sixth of them for validation and a sixth for the test.

    Source: Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository. The
    same people wrote all three parts.
    """
    import torch

    images, labels = _digits()
    found = torch.from_numpy(_shuffled(images, labels))
    sixth = len(found) // 6
    parts = found[2 * sixth :], found[sixth : 2 * sixth], found[:sixth]
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    return Corpus(DIGITS, _labels(9), *parts, sha256=digest, licence="CC BY 4.0")


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Images ``(N, 8, 8)`` and labels ``(N,)``, uint8, in the order of their source."""
    from sklearn.datasets import load_digits  # here, as few starts need it and it takes a second

    pixels, labels = (np.asarray(values) for values in load_digits(return_X_y=True))
    return np.rint(pixels.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8), labels.astype(np.uint8)


def permute(images: np.ndarray, seed: int) -> np.ndarray:
    """The pixels of images ``(…, W, W)`` in another order, the same in each."""
    order = np.random.default_rng(seed).permutation(images.shape[-1] ** 2)
    return images.reshape(*images.shape[:-2], -1)[..., order].reshape(images.shape)


def _permuted(corpus: Corpus, seed: int) -> Corpus:
    import torch

    train, valid, test = (
        torch.cat([torch.from_numpy(permute(part[..., :-1].numpy(), seed)), part[..., -1:]], dim=-1)
        for part in (corpus.train, corpus.valid, corpus.test)
    )  # (N, W, W + 1)
    return Corpus(f"{corpus.name} permuted", corpus.vocabulary, train, valid, test, corpus.sha256, corpus.licence)


@lru_cache(8)
def examples(side: int) -> np.ndarray:
    """The digits of the test part for a model that reads images of this side: uint8 ``(N, W, W + 1)``, as in a Corpus.

    Others than 8 × 8 are enlarged to five sevenths of the side, where MNIST has its digits, too, and get back the
    contrast that this takes from them: a model of MNIST is right in 92 % of them, and in 78 % of what is only enlarged.
    """
    images, labels = _digits()
    test = _shuffled(images, labels)[: len(images) // 6]  # (N, 8, 9)
    if side == 8:
        return test
    inner = max(1, side * 5 // 7)
    larger = bicubic(8, inner)
    pixels = larger @ test[..., :-1].astype(float) @ larger.T  # (N, inner, inner)
    found = np.zeros((len(test), side, side + 1), np.uint8)
    begin = (side - inner) // 2
    found[:, begin : begin + inner, begin : begin + inner] = ((pixels - 0.3 * 255) * 1.7).clip(0, 255).round()
    found[..., -1] = test[:, :1, -1]
    return found


def bicubic(size: int, wanted: int) -> np.ndarray:
    """What makes ``wanted`` values of ``size`` by cubic convolution, ``(wanted, size)``.

    Keys 1981, with the -0.75 of torch and OpenCV.
    """
    at, rows, found = (np.arange(wanted) + 0.5) * size / wanted - 0.5, np.arange(wanted), np.zeros((wanted, size))
    for k in range(-1, 3):
        place = np.floor(at) + k
        d = np.abs(at - place)
        near, far = (1.25 * d - 2.25) * d**2 + 1, -0.75 * (((d - 5) * d + 8) * d - 4)
        found[rows, place.clip(0, size - 1).astype(int)] += np.where(d <= 1, near, far)
    return found


def as_code(image: np.ndarray) -> str:
    """Greys, uint8, in 16 steps: a hexadecimal digit a pixel, row by row, as a link says an image."""
    return "".join(f"{grey // 17:x}" for grey in image.flatten().tolist())


def from_code(code: str, side: int) -> np.ndarray:
    """Undo `as_code`, as far as 16 greys allow: uint8 ``(W, W)``.

    Raises:
        ValueError: it is no image, or not one of this side.
    """
    if not code or set(code) - set("0123456789abcdef"):
        raise ValueError("it is no image: a pixel is one of 0 to 9 and a to f")
    found = math.isqrt(len(code))
    if found**2 != len(code):
        raise ValueError(f"it has {len(code):,} pixels, which make no square; the model reads {side} × {side}")
    if found != side:
        raise ValueError(f"it has {found} × {found} pixels; the model reads images of {side} × {side}")
    return np.array([17 * int(grey, 16) for grey in code], np.uint8).reshape(side, side)


def idx_images(folder: Path) -> Corpus:
    """The images of a folder; a twelfth of those to train on is kept for validation.

    Raises:
        ValueError: a file is missing, damaged, or does not fit the others.
    """
    import torch

    if not folder.is_dir():
        raise ValueError(f"there is no folder at {folder}; name {DIGITS}, or a folder with the idx files of MNIST")
    digest, parts, highest, known = hashlib.sha256(), {}, 0, ""
    for part in ("train", "t10k"):
        images, labels = (_read(folder, f"{part}-{what}-ubyte", axes) for what, axes in FILES.items())
        if len(images) != len(labels):
            raise ValueError(f"{folder.name} has {len(images):,} images and {len(labels):,} labels to {part}")
        if images.shape[1] != images.shape[2] or not 1 <= images.shape[1] <= SIDE_MOST:
            shape = f"{images.shape[1]} × {images.shape[2]}"
            raise ValueError(f"the images of {part} have {shape} pixels; they must be square, of at most {SIDE_MOST}")
        parts[part] = torch.from_numpy(_shuffled(images, labels))
        highest, known = max(highest, int(labels.max())), hashlib.sha256(images.tobytes()).hexdigest()
        digest.update(images.tobytes() + labels.tobytes())
    train, test = parts.values()
    if train.shape[1:] != test.shape[1:]:
        sides = f"{train.shape[1]} and {test.shape[1]}"
        raise ValueError(f"the images to train on and those of the test have {sides} rows; they must be of one size")
    held = max(1, len(train) // 12)
    name, licence = ("MNIST", "CC BY-SA 3.0") if known == MNIST_SHA256 else (name_of(folder), "not stated")
    return Corpus(name, _labels(highest), train[held:], train[:held], test, digest.hexdigest(), licence)


def _labels(highest: int) -> Vocabulary:
    return Vocabulary("label", tuple(map(str, range(highest + 1))))


def _shuffled(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Images ``(N, W, W)`` with their label after each row, in another order: ``(N, W, W + 1)``."""
    said = np.broadcast_to(labels[:, None, None], (*images.shape[:2], 1))
    return np.concatenate([images, said], axis=2)[np.random.default_rng(0).permutation(len(images))]


def _read(folder: Path, name: str, axes: int) -> np.ndarray:
    """The values of an idx file, uint8.

    Raises:
        ValueError: there is none, or it is damaged.
    """
    path = next((each for each in (folder / name, folder / f"{name}.gz") if each.exists()), None)
    if path is None:
        raise ValueError(f"there is no {name} (or {name}.gz) in {folder}; MNIST has four such files")
    data = read_bytes(path, IMAGES_LONG)
    if path.suffix == ".gz":
        data = _unpacked(path, data)
    if len(data) < 4 + 4 * axes or data[:2] != b"\0\0" or data[3] != axes:
        raise ValueError(f"{path.name} is no idx file of {axes} axes; copy or download it again")
    if data[2] != 8:
        raise ValueError(
            f"{path.name} has values of type {data[2]:#04x}; only bytes (0x08), greys from 0 to 255, are read"
        )
    shape = tuple(int.from_bytes(data[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(axes))
    if not 2 <= shape[0] <= IMAGES_MOST:
        raise ValueError(f"{path.name} is of {shape[0]:,} images; from 2 to {IMAGES_MOST:,} are read")
    count = math.prod(shape)
    if len(data) != 4 + 4 * axes + count:
        says = f"{count:,} values, and holds {len(data) - 4 - 4 * axes:,}"
        raise ValueError(f"{path.name} says that it has {says}; it is cut short or damaged: copy it again")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _unpacked(path: Path, data: bytes) -> bytes:
    """What a gzip file holds; never more than `IMAGES_LONG` of it is unpacked."""
    unpack = zlib.decompressobj(31)
    try:
        values = unpack.decompress(data, IMAGES_LONG)
    except zlib.error as error:
        raise ValueError(f"{path.name} is no gzip file, or it is damaged: copy it again") from error
    if not unpack.eof:
        most = f"holds more than {IMAGES_LONG / 1e6:,.0f} MB" if len(values) == IMAGES_LONG else "is cut short"
        raise ValueError(f"{path.name} {most}; copy it again")
    return values
