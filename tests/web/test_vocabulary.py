"""A text is split in the page as it is on the server, whatever is typed."""

import json
import random
import unicodedata
from functools import cache
from pathlib import Path
from unicodedata import normalize

import pytest
from playwright.sync_api import Page

from lstmviz import checkpoint as checkpoints
from lstmviz.data.vocabulary import Vocabulary, visible, well_formed
from lstmviz.explain.examples import EXAMPLES
from lstmviz.opened import how_to_type

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"
PROSE = (
    "The cat didn't see John's well-known dog, N of 1,000.50 it's <unk> @-@ naïve café Ångström ΟΔΟΣ İstanbul STRASSE "
    "ß rock'n'roll e.g. U.S. 3.14; x_y (o'er, can’t) WON'T n't ŉ't “quoted” — dash… https://a.b/c?d=e\n"
)
MADE = {
    "char": Vocabulary.of("char", PROSE),
    "char, apart": Vocabulary.of("char", normalize("NFD", PROSE + "한국어 Việt")),
    "char, signs": Vocabulary.of("char", "a\n ⏎␣␤ bc\t", unseen_apart=True),
    "treebank": Vocabulary.of(
        "word", "the cat did n't see john 's , N ca οδος i̇stanbul é o'er o 'er 3.14 3 . 14".split()
    ),
    "wikitext": Vocabulary.of(
        "word", "The the cat didn 't see John 's dog , . well @-@ known 1 @,@ 000 @.@ 5 é".split()
    ),
    "both": Vocabulary.of("word", "The did n't well @-@ known 1 @,@ 000 ⏎ ␣ a␠b o 'er".split(), unseen_apart=True),
    "apart": Vocabulary.of("word", normalize("NFD", "naïve café Ångström 한국어 Việt 3 . 14 e g").split()),
    "label": Vocabulary("label", ("one", "two", "a b\n")),
}
# What splits words, joins them, or is split itself, of each kind some; and whole scripts below.
HOSTILE = [
    *"aAzZsStTnNdDmM09_-'’.,:;\"@<>#*/\t \n\r\v\f\x00\x1c\x1f\x85\xa0\xadªº²½ſßŉİıςΣσ\u0345",
    *"\u0301\u0308\u0323\u0e33\u0e48\u1039\u17d2\u1a60\u200b\u200c\u200d\u200e\u202e\u2028\u2029\u202f\u2060\u3000\ufeff\ufe0f\u20e3",
    *"אבג׳״اب\u0640\u06ddनमस्\u094dกขລာမြន្ខ漢字々〇カタｶﾞひら゛ー\u1100\u1161\u11a8한가ŀ·᾿ÅÅﬁ㎏⅒Ⅳⅻⓐ①\u2044\u203f\u2040\ufe33",
    *"🦊👩❤🏿🇩🇪🏴\U000e0067\U000e007f\U0001f1e6𝒜𝟘𐐀𐐨𑂽𝅘𝅥\U00020000\U000e0100\ud800\udbff\udc00\udfff\ufffd\ufffe\U0010ffff",
    "n't", "n’t", "N'T", "'s", "'ll", "@-@", "@,@", "<unk>", "<eos>", "<unseen>", "\r\n", "⏎", "␤", "␣", "␠", "the",
    "well-known", "1,000.5", "didn't", "e\u0301", "\ud83e", "\udd8a",
]  # fmt: skip
SPLIT = """async (asked) => {
  const { Vocabulary } = await import("/vocabulary.js"), [made, texts] = JSON.parse(asked);
  const all = made.map((each) => new Vocabulary(each));
  return JSON.stringify(texts.map(([text, which]) => {
    const pieces = all[which].split(text);
    return [pieces, all[which].encode(pieces)];
  }));
}"""
SHOW = """async ([level, tokens]) => {
  const { Vocabulary } = await import("/vocabulary.js"), made = new Vocabulary({ level, tokens });
  const types = level === "label" ? [] : tokens.map((_, id) => made.howToType(id));
  return [tokens.map((_, id) => made.display(id)), types, made.end ?? null];
}"""


@cache
def scripts() -> list[list[str]]:
    """The characters of each script, as their names begin, that Python's own tables know: the oldest that take part."""
    found: dict[str, list[str]] = {}
    for n in range(0x110000):
        if name := unicodedata.name(chr(n), ""):
            found.setdefault(name.split()[0], []).append(chr(n))
    return [*found.values()]


def hostile(count: int) -> list[str]:
    """Texts of marks, halves of pairs, joiners, signs and letters of all scripts, among prose."""
    chance, prose = (
        random.Random(0),
        [*PROSE, *"".join(each.text for examples in EXAMPLES.values() for each in examples)],
    )

    def text() -> str:
        script = chance.choice(scripts())
        at = chance.randrange(len(prose))
        parts = (HOSTILE, script, prose[at : at + 12])
        return "".join(chance.choice(chance.choices(parts, (5, 3, 4))[0]) for _ in range(chance.randint(1, 16)))

    def sentence() -> str:
        at = chance.randrange(len(prose))
        pieces = prose[at : at + chance.randint(5, 60)]
        for _ in range(chance.randrange(4)):
            pieces.insert(chance.randrange(len(pieces) + 1), chance.choice(HOSTILE))
        return "".join(pieces)

    return [sentence() if k % 4 == 0 else text() for k in range(count)]


def test_a_text_is_split_and_looked_up_alike_in_both_languages(shared_page: Page) -> None:
    chance = random.Random(1)
    asked = [(text, chance.randrange(len(MADE))) for text in hostile(20_000)]
    made, expected = [*MADE.values()], []
    for text, which in asked:
        pieces = made[which].split(text)
        ids = [None] * len(pieces) if made[which].level == "label" else made[which].encode_tokens(pieces)
        expected.append([pieces, ids])
    given = json.dumps(
        [[{"level": each.level, "tokens": each.tokens} for each in made], asked]
    )  # in ASCII, halves of pairs too
    found = json.loads(shared_page.evaluate(SPLIT, given))
    unlike = [
        (ascii(text), [*MADE][which]) for (text, which), a, b in zip(asked, expected, found, strict=True) if a != b
    ]
    assert not unlike, unlike[:5]


def shipped(name: str) -> list[Vocabulary]:
    checkpoint = checkpoints.load(CHECKPOINTS / f"{name}.safetensors")
    return [checkpoint.vocabulary, *([checkpoint.reads] if checkpoint.reads else [])]


@pytest.mark.parametrize("name", ["shakespeare-char-lstm", "wikitext2-word-lstm", "agreement", "brackets", *MADE])
def test_every_token_is_shown_and_typed_alike_in_both_languages(name: str, shared_page: Page) -> None:
    for each in [MADE[name]] if name in MADE else shipped(name):
        shows, types, end = shared_page.evaluate(SHOW, [each.level, each.tokens])
        ids = range(len(each))
        assert shows == [each.display(i) for i in ids]
        if each.level != "label":
            assert types == [how_to_type(each, i) for i in ids] and end == each.end


def test_text_is_made_well_formed_and_joined_alike_in_both_languages(shared_page: Page) -> None:
    texts, words = hostile(2_000), MADE["both"]
    script = """async (asked) => {
      const { Vocabulary, visible, wellFormed } = await import("/vocabulary.js");
      const [level, tokens, texts] = JSON.parse(asked), words = new Vocabulary({ level, tokens });
      const all = (text) => [wellFormed(text), visible(wellFormed(text)), words.joined(text, "a")];
      return JSON.stringify(texts.map(all));
    }"""
    found = json.loads(shared_page.evaluate(script, json.dumps([words.level, words.tokens, texts])))
    for text, each in zip(texts, found, strict=True):
        assert each == [well_formed(text), visible(well_formed(text)), words.joined(text, "a")], ascii(text)
