"""Vocabularies, tokenising and corpora."""

import re
import sys
import time
import unicodedata
from pathlib import Path
from unicodedata import normalize

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from lstmviz.checkpoint import load
from lstmviz.data import vocabulary as text_module
from lstmviz.data.vocabulary import (
    EOS,
    SPECIALS,
    WORD,
    Vocabulary,
    inline,
    is_tokenised,
    plain,
    shown,
    tokenise,
    visible,
    well_formed,
)

CHARS = Vocabulary.of("char", "the cat\n")
PENN = Vocabulary.of("word", "the cat did n't see john 's dog , N <unk>".split())
WIKI = Vocabulary.of("word", "The the cat didn 't see John 's dog , . well @-@ known 1 @,@ 000 @.@ 5".split())


def test_ids_follow_frequency_then_the_alphabet():
    assert Vocabulary.of("char", "banana").tokens == (*SPECIALS, "a", "n", "b")
    assert Vocabulary.of("word", "b a c a b".split()).tokens == (*SPECIALS, "a", "b", "c")
    assert Vocabulary.of("word", "b a c a b".split(), max_size=1).tokens == (*SPECIALS, "a")
    assert Vocabulary.of("word", "b a c a b".split(), min_count=2).tokens == (*SPECIALS, "a", "b")
    assert Vocabulary.of("word", {"b": 2, "a": 2, "c": 1, "z": 0}).tokens == (*SPECIALS, "a", "b", "c")


@pytest.mark.parametrize(
    ("level", "tokens", "message"),
    [
        ("byte", SPECIALS, "level is 'byte'"),
        ("char", ("a", *SPECIALS), "must begin with <pad> <unk> <sos> <eos>"),
        ("char", (*SPECIALS, "a", "a"), "all be different"),
        ("char", (*SPECIALS, ""), "not empty"),
        ("char", (*SPECIALS, 7), "must be strings"),
    ],
)
def test_bad_vocabularies_are_refused(level, tokens, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(level, tokens)


@pytest.mark.parametrize(
    ("vocabulary", "text", "pieces"),
    [
        (CHARS, "a t", ["a", " ", "t"]),
        (CHARS, "a␣t⏎c", ["a", " ", "t", "\n", "c"]),  # what the app shows can be typed
        (CHARS, "a\r\nc", ["a", "\n", "c"]),
        (CHARS, "<unk>", ["<", "u", "n", "k", ">"]),
        (PENN, "The cat didn't see.", ["The", "cat", "did", "n't", "see", "."]),
        (PENN, "The cat didn't, see", ["The", "cat", "did", "n't", ",", "see"]),
        (PENN, "didn’t", ["did", "n’t"]),
        (PENN, "John's dog", ["John", "'s", "dog"]),
        (PENN, "the <unk> cat\nthe cat", ["the", "<unk>", "cat", EOS, "the", "cat"]),
        (WIKI, "The cat didn't see.", ["The", "cat", "didn", "'t", "see", "."]),
        (WIKI, "well-known", ["well", "@-@", "known"]),
        (WIKI, "1,000 1.5", ["1", "@,@", "000", "1", "@.@", "5"]),
        (WIKI, "the @-@ dog", ["the", "@-@", "dog"]),
        (WIKI, "", []),
        (WIKI, " \t ", []),
        (WIKI, "🦊 naïve 日本 \x00 %{x}", ["🦊", "naïve", "日本", "\x00", "%", "{", "x", "}"]),
        (WIKI, "<script>", ["<script>"]),
    ],
)
def test_typed_text_is_split_as_the_corpus_is(vocabulary, text, pieces):
    assert vocabulary.split(text) == pieces


def test_encoding_looks_up_the_corpus_spelling():
    assert PENN.decode(PENN.encode("THE Cat")) == "the cat"  # this corpus has no capitals
    assert PENN.decode(PENN.encode("didn’t")) == "did n't"  # and no curly apostrophe
    assert WIKI.decode(WIKI.encode("The THE")) == "The <unk>"  # here case means something
    assert CHARS.decode(CHARS.encode("az")) == "a<unk>"
    assert (PENN.has_case, WIKI.has_case) == (False, True)


def test_decoding_joins_words_with_spaces_and_sentences_with_newlines():
    assert WIKI.decode(WIKI.encode("the cat\nthe dog\n")) == "the cat\nthe dog\n"
    assert CHARS.decode(CHARS.encode("the cat\n")) == "the cat\n"


def test_white_space_and_control_characters_are_shown():
    assert [CHARS.display(CHARS.ids[c]) for c in "a \n"] == ["a", "␣", "⏎"]
    assert WIKI.display(WIKI.ids[EOS]) == "⏎"
    assert CHARS.display(CHARS.ids[EOS]) == EOS
    assert visible("\t\x00<b>") == "⇥‹U+0000›<b>"


def test_a_corpus_is_split_at_white_space_where_it_is_tokenised_already():
    prose, treebank = "Well, it's 5%.\n", "well , it 's 5 % .\n"
    assert (is_tokenised(prose), is_tokenised(treebank)) == (False, True)
    assert is_tokenised("mr. <unk> did n't come\n") and not is_tokenised("The cat sat on the mat.\n")
    assert tokenise(prose, "word", False) == ["Well", ",", "it", "'s", "5", "%", ".", EOS]
    assert tokenise("a <unk>\tb@c\n\n", "word", True) == ["a", "<unk>", "b@c", EOS, EOS]
    assert tokenise("a b\n", "char", False) == ["a", " ", "b", "\n"]


# Words of many scripts, each with a space between its words and nothing else.
WORDS = [
    "हिन्दी में क्षत्रिय र्‍क त्‍",  # virama, vowel signs, joiners
    "বাংলা தமிழ் తెలుగు ಕನ್ನಡ മലയാളം ਪੰਜਾਬੀ ગુજરાતી සිංහල",
    "cafe\u0301 naïve A\u030angstro\u0308m Việt Vie\u0323\u0302t q\u0307\u0323",
    "العَرَبِيَّةُ مـــد می‌خواهم اردو ٣٫١٤ ١٬٠٠٠",  # harakat, tatweel, ZWNJ, separators of numbers
    "בְּרֵאשִׁית צה\"ל צה״ל ג'ירפה ג׳ירפה וכו' וכו׳",  # niqqud, gershayim and geresh, also as typed
    "col·lecció l'homme aujourd'hui O'Brien п'ять c'hwec'h o’clock",
    "ラーメン ﾊﾞﾅﾅ カタカナ ヷ",
    "한국어 한국어 ㅋㅋㅋ",
    "བོད སྐད ཧཱུྃ ᠮᠣᠩᠭᠣᠯ ꦲꦏ꧀ꦱꦫ",
    "snake_case __init__ _ 3.14 1,000,000 1.000,5 1'000 example.com 4x4 H2O ½ Ⅷ",
    "co\u00adoperate a\u2060b ❤\ufe0f ☂︎",
    "👩‍👩‍👧‍👦 👍🏽 🇩🇪 🇫🇷 1️⃣ #️⃣ 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f 🏳️‍🌈 ❤️‍🔥 ⚕",
    "𝔘𝔫𝔦 𐍈𐌰 𞤀𞤣𞤤𞤢𞤥 𑀓𑁆𑀱",
    "Ελλάδα հայոց ქართული አማርኛ ᏣᎳᎩ ⴰⵎⴰⵣⵉⵖ",
]
CHARACTERS = [  # each with a space between what is one token where no spaces are written
    "日 本 語", "葛\U000e0100 城", "ひ ら か\u3099 な", "ら ー め ん",
    "ไ ท ย", "กำ ลั ง ที่", "ລ າ ວ", "ภ า ษ า", "ភា សា ខ្មែ រ", "မြ န် မာ ဘု ဒ္ဓ",
]  # fmt: skip


@pytest.mark.parametrize("text", WORDS)
def test_a_word_of_any_script_is_one_token(text):
    words = text.split(" ")
    assert tokenise(text, "word", False) == words
    assert tokenise(f"«{'» , («'.join(words)}»)", "word", False)[1::5] == words  # whatever stands around it
    for vocabulary in (PENN, Vocabulary.of("word", words), Vocabulary.of("word", ["x"])):
        assert vocabulary.split(text) == words


@pytest.mark.parametrize("text", CHARACTERS)
def test_where_no_spaces_are_written_a_character_with_its_marks_is_one(text):
    assert tokenise(text.replace(" ", ""), "word", False) == text.split(" ")
    assert Vocabulary.of("word", ["x"]).split(text.replace(" ", "")) == text.split(" ")
    whole = text.replace(" ", "")
    assert Vocabulary.of("word", [whole]).split(whole) == [whole]  # but what a vocabulary holds is a word


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's, DIDN'T we’ll I'd've", ["It", "'s", ",", "DIDN", "'T", "we", "’ll", "I", "'d", "'ve"]),
        ("'hello' 'tis rock'n'roll", ["'", "hello", "'", "'", "tis", "rock'n'roll"]),
        ("well-known <unk> 1 @-@ 2 <b>", ["well", "-", "known", "<unk>", "1", "@-@", "2", "<b>"]),
        ("e.g. U.S. $3.50!", ["e.g", ".", "U.S", ".", "$", "3.50", "!"]),
        ("a\u200bb \u200e\ufeff c\u202f!", ["a", "b", "c", "!"]),  # nothing that nobody sees is a token of its own
        ("नमस्ते, दुनिया। שלום! สวัสดี", ["नमस्ते", ",", "दुनिया", "।", "שלום", "!", "ส", "วั", "ส", "ดี"]),
        ("カタカナとABC漢字", ["カタカナ", "と", "ABC", "漢", "字"]),
        ("a\u2028b\x85c\n\nd", ["a", EOS, "b", EOS, "c", EOS, EOS, "d"]),
        ("\u0301 \u0301a", ["\u0301", "\u0301", "a"]),
    ],
)
def test_marks_clitics_and_numbers_of_prose(text, words):
    assert tokenise(text, "word", False) == words
    assert Vocabulary.of("word", ["x"]).split(text) == words


def test_a_word_that_a_vocabulary_lacks_falls_apart_where_it_has_the_parts():
    """Which corpora of an earlier version were split into."""
    old = Vocabulary.of("word", "o 'er 3 . 14 e g".split())
    assert old.split("o'er 3.14 3.15 e.g.") == ["o", "'er", "3", ".", "14", "3.15", "e", ".", "g", "."]
    assert Vocabulary.of("word", ["3.14", ".", "3", "14"]).split("3.14.") == ["3.14", "."]
    assert WIKI.split("O'Brien's don't") == ["O", "'Brien", "'s", "don", "'t"]  # as WikiText does it, known or not


@pytest.mark.parametrize("level", ["char", "word"])
@pytest.mark.parametrize("text", ["café", "Việt", "한국어", "Å ṩ q̣̇", "ё й"])
def test_accents_are_looked_up_however_they_are_written(level, text):
    for known in ("NFC", "NFD"):
        corpus = normalize(known, text)
        vocabulary = Vocabulary.of(level, tokenise(corpus, level, False))
        for typed in ("NFC", "NFD"):
            assert vocabulary.decode(vocabulary.encode(normalize(typed, text))) == corpus
    both = Vocabulary.of(level, [*"e\u0301é"] if level == "char" else ["e\u0301", "é"])
    assert both.decode(both.encode("e\u0301")) == "e\u0301" and both.decode(both.encode("é")) == "é"


def test_a_sign_that_the_corpus_has_stands_for_itself():
    assert (CHARS.newline_sign, CHARS.space_sign) == ("⏎", "␣")
    both = Vocabulary.of("char", "a\n ⏎␣␤")
    for vocabulary in (both, Vocabulary.of("char", "a\n ⏎␣"), CHARS):
        shown = [vocabulary.display(i) for i in range(len(vocabulary))]
        assert len(set(shown)) == len(shown)  # none is taken for another
        for i, sign in enumerate(shown[len(SPECIALS) :], start=len(SPECIALS)):
            assert vocabulary.encode(sign) == [i]  # and what is shown can be typed
    assert both.split("a⏎␣␤↵␠") == ["a", "⏎", "␣", "␤", "\n", " "]
    words = Vocabulary.of("word", ["press", "⏎", "now"])
    assert words.split("press ⏎ now␤press") == ["press", "⏎", "now", EOS, "press"]
    assert words.display(words.ids[EOS]) == "␤"


@pytest.mark.parametrize("vocabulary", [CHARS, PENN, WIKI])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "⏎", "\u2028", "\u2029", "\x85"])
def test_whatever_ends_a_line_is_a_newline(vocabulary, end):
    assert vocabulary.encode(f"the cat{end}the cat") == vocabulary.encode("the cat\nthe cat")


def test_ill_formed_text_is_read():
    assert well_formed("\ufeffa\ud800b\udc00\r\n🦊\ud83e\udd8a") == "a�b�\n🦊🦊"
    for vocabulary in (CHARS, PENN, WIKI):
        pieces = vocabulary.split("t\ud83eh\0e\udfff")
        assert "".join(pieces) == "t�h\0e�" and "".join(pieces).encode()


@pytest.mark.parametrize(
    ("ours", "annex"),
    [
        ("_LETTER", ("ALetter", "Hebrew_Letter")),
        ("_HEBREW", ("Hebrew_Letter",)),
        ("_DIGIT", ("Numeric",)),
        ("_KATAKANA", ("Katakana",)),
        ("_EXTEND", ("Extend", "Format", "ZWJ")),
        ("_BETWEEN_LETTERS", ("MidLetter", "MidNumLet", "Single_Quote")),
        ("_BETWEEN_DIGITS", ("MidNum", "MidNumLet", "Single_Quote")),
    ],
)
def test_the_classes_are_those_of_the_annex(ours, annex):
    """Of UAX #29, whose own property JavaScript does not know."""
    both = getattr(text_module, ours), "[" + "".join(rf"\p{{Word_Break={name}}}" for name in annex) + "]"
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    found, expected = (set(regex.findall(pattern, every, regex.V1)) for pattern in both)
    assert found ^ expected == ({"\u0e33", "\u0eb3"} if ours == "_EXTEND" else set())  # of Thai and Lao characters


def test_typed_english_is_split_for_the_shipped_vocabulary_as_before():
    vocabulary = load(Path(__file__).parents[2] / "checkpoints/wikitext2-word-lstm.safetensors").vocabulary
    before = re.compile(r"<\w+>|@[-,.]@|['’]\w+|\w+|[^\w\s]")  # what a piece that is not known fell apart into
    for typed in (
        "The film didn't earn $1,000.50 in the U.S., but O'Brien's well-known co-stars won't care.",
        "'Tis \"o'er\" <unk> — naïve; 3.14 @-@ x_y e.g. (it’s) I'd've 'em rock'n'roll https://a.b/c?d=e",
    ):
        pieces = []
        for chunk in typed.split():
            if not vocabulary._known(chunk):
                chunk = re.sub(r"(?<=\d)([,.])(?=\d)", r" @\1@ ", re.sub(r"(?<=\w)-(?=\w)", " @-@ ", chunk))
            pieces += [p for c in chunk.split() for p in ([c] if vocabulary._known(c) else before.findall(c))]
        assert vocabulary.split(typed) == pieces


def test_a_long_text_of_unknown_words_is_encoded_in_time():
    # Only a guard against work that grows with text times vocabulary: that would take a minute.
    vocabulary = Vocabulary.of("word", (f"word{i}" for i in range(10_000)))
    begun = time.perf_counter()
    assert set(vocabulary.encode("Qx " * 33_000)) == {vocabulary.ids["<unk>"]}
    assert time.perf_counter() - begun < 10


@pytest.mark.parametrize("text", ["![x](http://a.b)", "[a](b)", "**b**", "`c`", ":red[d]", "$e$", "- f", "<g>", "~h~",
    "https://a.b/c", "see WWW.a.b", "a@b.cd", "1. i", "2) j", "&lt;k&gt;"])  # fmt: skip
def test_plain_text_leaves_no_markdown(text):
    assert re.sub(r"\\(.)", r"\1", plain(text)).replace("\u200b", "") == text
    assert not re.search(r"(?<!\\)[\[\]*`$<>~&]|://|(?i:www\.)|\w@|^\d[.)]", plain(text))


HONEST = [
    "may", "É", "e\u0301", "שלום", "中文", "a\nb\tc", "\u0600123", "\u1820\u180b", "葛\U000e0100",
    "می\u200cخواهم", "क्\u200dष", "ന്\u200d\u0d28", "1\ufe0f\u20e3", "❤\ufe0f\u200d🔥", "👩\u200d👩\u200d👧",
    "👨🏿\u200d⚕\ufe0f", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
]  # fmt: skip


@pytest.mark.parametrize("text", HONEST)
def test_honest_text_is_shown_as_it_is(text):
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\u202eb", "a‹U+202E›b"), ("\ufeff", "‹U+FEFF›"), ("\u2028\x85", "‹U+2028›‹U+0085›"), ("\x1b[", "‹U+001B›["),
        ("a\u200db", "a‹U+200D›b"), ("می\u200c\u200cخ", "می‹U+200C›‹U+200C›خ"), ("a\u200cب", "a‹U+200C›ب"),
        ("\ufe0f", "‹U+FE0F›"), ("1\ufe0f", "1‹U+FE0F›"), ("❤\ufe0f\ufe0f", "❤\ufe0f‹U+FE0F›"),
        ("❤\u200d", "❤‹U+200D›"), ("🏴\U000e0067", "🏴‹U+E0067›"), ("\u3164", "‹U+3164›"), ("\u00ad", "‹U+00AD›"),
        ("\ud83d", "‹U+D83D›"), ("\u2800", "‹U+2800›"),
    ],
)  # fmt: skip
def test_what_nobody_sees_is_shown(text, seen):
    assert shown(text) == seen and shown(seen) == seen


def test_whatever_is_invisible_is_shown_between_letters():
    hidden = [chr(n) for n in range(sys.maxunicode + 1) if unicodedata.category(chr(n)) in ("Cf", "Cc", "Zl", "Zp")]
    left = {c for c in hidden if shown(f"a{c}b") == f"a{c}b"}
    # Ends of lines and tabs, and signs over or before the digits of Arabic, Syriac and Kaithi, which have a form.
    assert left == {*"\t\n", *map(chr, [*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD])}


def test_a_token_that_nobody_sees_is_no_empty_place():
    vocabulary = Vocabulary.of("char", "\u202e\u200b\u2003\ufe0f")
    signs = [vocabulary.display(i) for i in range(4, 8)]
    assert sorted(signs) == ["‹U+2003›", "‹U+200B›", "‹U+202E›", "‹U+FE0F›"]
    assert [vocabulary.encode(token) for token in vocabulary.tokens[4:]] == [
        [4],
        [5],
        [6],
        [7],
    ]  # the data stay as they are


def test_a_name_leaves_the_order_beside_it():
    assert inline("abc 1") == "abc 1" and inline("שלום") == "\u2068שלום\u2069" and inline("\u202e") == "‹U+202E›"
    assert plain("a\u2028b\n c\x85") == "a‹U+2028›b c‹U+0085›"


@pytest.mark.parametrize("chunk", ["may", "I", "x1", "1x", "2026", "a1b2", "N", "MixedCase", "it" * 300])
def test_letters_and_digits_alone_are_one_word_without_a_search(chunk):
    assert text_module._words(chunk) == (chunk,) == tuple(regex.findall(WORD, chunk, regex.V1))


@given(st.text(st.sampled_from("a'b,1\n\r\t \v\f\x1c\x1f\x85\xa0\u2003\u2028\u3000é")))
def test_what_stands_between_white_spaces_is_found_alike_in_both_ways(text: str) -> None:
    ends = regex.compile(r"[\n\v\f\x85\u2028\u2029]|\P{White_Space}+")
    assert text_module.chunks(text, False) == ends.findall(text)
    assert text_module.chunks(text, True) == re.findall(r"\n|\S+", text)
