"""What a person should know of a text or an image that a model reads: one sentence for each thing."""

from __future__ import annotations

from lstmviz.cells import cell_called
from lstmviz.data.vocabulary import NOT_FINITE, NOTHING_FOLLOWS, UNK
from lstmviz.explain.examples import examples_for, guide_to
from lstmviz.explain.memory import why_no_sum
from lstmviz.explain.translations import how_it_said
from lstmviz.opened import OpenModel, is_grammar
from lstmviz.reading import LONGEST, Reading, mostly_unknown
from lstmviz.wire import Note, image_of


def sentences(opened: OpenModel) -> dict[str, str]:
    """Those that may be said, by name, with {places} for what only a text decides: ``web/notes.js`` fills them, too."""
    no_answer = "Nothing can be drawn of this: what the model answers is no finite number."
    no_sum = {"no_sum": f"{why}."} if (why := why_no_sum(cell_called(opened.checkpoint.model.cell))) else {}
    if opened.side:
        known = ", ".join(opened.checkpoint.vocabulary.tokens)
        strange = f"The image shows {{label}}, which the model does not know; it knows {known}."
        return {"image": image_of(opened, "{label}"), "strange": strange, "no_answer": no_answer, **no_sum}
    noun = "characters" if opened.reads.level == "char" else "words"
    other = "press a token" if is_grammar(opened) else "pick an example"
    does_not = f"The model does not know {{unknown}} of these {noun}"
    little = "its perplexity tells little of the others"
    same = "to it each is the same <unk>, marked by a dashed underline"
    return {
        "nothing": f"There is nothing to read yet. Type above, or {other}, and a column appears for every token.",
        "dropped": f"The text has {{count}} {noun}; the first {{read}} are shown.",
        "longer": f"The text has more than {{count}} {noun}; the first {{read}} are shown.",
        "all_unknown": f"The model knows none of these {noun}: {same}.",
        "some_unknown": f"{does_not}: it reads each as <unk>.",
        "mostly_unknown": f"{does_not}: {little}.",
        "no_answer": no_answer,
        **no_sum,
        "not_finite": NOT_FINITE,
        "nothing_follows": NOTHING_FOLLOWS,
    }


def filled(sentence: str, **places: str) -> str:
    """A sentence with what stands in its places; other braces, which a label may have, stay."""
    for name, what in places.items():
        sentence = sentence.replace(f"{{{name}}}", what)
    return sentence


def guided(opened: OpenModel, text: str) -> list[Note]:
    """What to know of the shape of sequence, and what to look for in an example."""
    guide: list[Note] = [("note", said)] if (said := guide_to(opened)) else []
    return [*guide, *(("look", example.look) for example in examples_for(opened) if example.text == text)]


def notes_on(opened: OpenModel, text: str, reading: Reading | None) -> list[Note]:
    """What there is to say of a text and its reading; None: it has no tokens."""
    said = sentences(opened)
    if reading is None:
        return [("info", said["nothing"])]
    notes = guided(opened, text)
    if reading.dropped:
        count = reading.count + reading.dropped
        told = said["longer" if len(text) == LONGEST else "dropped"]
        notes.append(("warning", filled(told, count=f"{count:,}", read=f"{reading.count:,}")))
    # A grammar's sentence is read after the end of another, and one that a label begins after <sos>.
    typed = reading.ids[1:] if opened.context or opened.labels else reading.ids
    typed = typed[: reading.count]
    unknown = typed.count(opened.reads.ids[UNK])
    if typed and unknown == len(typed):
        notes.append(("warning", said["all_unknown"]))
    elif unknown and reading.said:
        notes.append(("warning", filled(said["some_unknown"], unknown=f"{unknown}")))
    elif mostly_unknown(opened, reading):
        notes.append(("warning", filled(said["mostly_unknown"], unknown=f"{unknown}")))
    if told := how_it_said(reading):
        notes.append(("note", told))
    return notes


def notes_on_image(opened: OpenModel, shows: str | None) -> list[Note]:
    """What there is to say of an image; ``shows`` is the label of what it shows, where that is known."""
    notes: list[Note] = [("note", guide_to(opened))]
    if shows is not None and shows not in opened.checkpoint.vocabulary.ids:
        notes.append(("warning", filled(sentences(opened)["strange"], label=shows)))
    return notes
