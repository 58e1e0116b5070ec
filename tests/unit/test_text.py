"""Vocabularies, tokenising and corpora."""

import re
import time

import pytest

from lstmviz.text import EOS, SPECIALS, Vocabulary, is_tokenised, plain, tokenise, visible

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
    assert visible("\t\x00<b>") == "⇥␀<b>"


def test_a_corpus_is_split_at_white_space_where_it_is_tokenised_already():
    prose, treebank = "Well, it's 5%.\n", "well , it 's 5 % .\n"
    assert (is_tokenised(prose), is_tokenised(treebank)) == (False, True)
    assert is_tokenised("mr. <unk> did n't come\n") and not is_tokenised("The cat sat on the mat.\n")
    assert tokenise(prose, "word", False) == ["Well", ",", "it", "'s", "5", "%", ".", EOS]
    assert tokenise("a <unk>\tb@c\n\n", "word", True) == ["a", "<unk>", "b@c", EOS, EOS]
    assert tokenise("a b\n", "char", False) == ["a", " ", "b", "\n"]


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
