"""A model that reads in the page: what is drawn of it there is what the server sends, field by field."""

import base64
import json
import random
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from playwright.sync_api import Page

from lstmviz.checkpoint import load, weights_of
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.images import examples
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.explain.examples import examples_for
from lstmviz.explain.notes import notes_on, notes_on_image
from lstmviz.home import SHIPPED
from lstmviz.live import live
from lstmviz.model import LanguageModel
from lstmviz.opened import OpenModel, prepare
from lstmviz.reading import LONGEST, Selected, Selection, read, read_image, select, write_on
from lstmviz.tasks import TASKS, Task
from lstmviz.wire import payload, sized

# Of a model what is drawn at each step, a text or an image, compared with the message of the server: where they differ.
COMPARE = """async ({ model, steps }) => {
  const { Opened, Reading } = await import("/reading.js"), { drawn } = await import("/drawn.js");
  const { notesOn } = await import("/notes.js"), { decode } = await import("/wire.js");
  const bytes = async (text) => (await fetch(`data:;base64,${text}`)).arrayBuffer();
  const opened = new Opened(model.live, new Float32Array(await bytes(model.weights)));
  const reading = new Reading(opened), found = [];
  const differ = (a, b, path, allowed) => {
    if (typeof a === "number" && typeof b === "number") {
      if (!(Math.abs(a - b) <= allowed)) found.push(`${path}: ${a} ${b}`);
    } else if (a === null || b === null || typeof a !== "object" || typeof b !== "object") {
      if (a !== b) found.push(`${path}: ${JSON.stringify(a)} ${JSON.stringify(b)}`);
    } else {
      const names = new Set([...Object.keys(a), ...Object.keys(b)]);
      if (a.length > 3 && a.length !== b.length) found.push(`${path}: ${a.length} ${b.length} long`);
      else for (const name of names) differ(a[name], b[name], `${path}.${name}`, name === "codes" ? 6 : allowed);
    }
  };
  for (const [k, { text, pixels, label, view, message, notes, shows }] of steps.entries()) {
    const whole = pixels ? reading.toImage(Uint8Array.from(pixels), label) : reading.toText(text);
    if (!whole) found.push(`step ${k}: not all was read`);
    const now = drawn(reading, view), then = message && decode(new Uint8Array(await bytes(message)), new Map());
    if (then) then.blocks = [];
    differ(then, now, `step ${k}`, 2e-4);
    differ(notes, notesOn(reading, shows), `step ${k} notes`);
  }
  return found.slice(0, 20);
}"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model writes little when it is opened: what it wrote only decides of scales and orders."""
    monkeypatch.setattr("lstmviz.opened.written_at_most", lambda model: 24)


def given(opened: OpenModel) -> dict[str, Any]:
    header, weights = live(opened)
    return {"live": json.loads(sized(header)[4:]), "weights": base64.b64encode(weights).decode()}


def step(opened: OpenModel, seen, view: dict, **what) -> dict[str, Any]:
    """What is read and drawn, and what the server makes of it."""
    view = {"layers": [0], "roles": ["cell"], "order": "telling", "selection": None, **view}
    view["selection"] = view["selection"] or {"time": 0, "unit": 1, "layer": view["layers"][-1]}
    message = base64.b64encode(payload(opened, seen, **view)).decode() if seen else None
    return {"view": view, "message": message, **what}


def texts(opened: OpenModel, typed: list[str], *views: dict) -> list[dict[str, Any]]:
    """A step a text, in each of the views in turn."""
    steps = []
    for k, text in enumerate(typed):
        seen = read(opened, text)
        view = views[k % len(views)] if views else {}
        steps.append(step(opened, seen, view, text=text, notes=notes_on(opened, text, seen)))
    return steps


def agree(page: Page, opened: OpenModel, steps: list[dict[str, Any]]) -> None:
    assert page.evaluate(COMPARE, {"model": given(opened), "steps": steps}) == []


@cache
def shipped(name: str) -> OpenModel:
    return prepare(load(SHIPPED / f"checkpoints/{name}.safetensors"))


@pytest.fixture
def page(shared_page: Page) -> Page:
    return shared_page


ORDERS = [{"order": order} for order in ("telling", "similar", "index", "active")]


def test_a_model_of_characters_is_drawn_as_the_server_draws_it(page: Page) -> None:
    opened = shipped("shakespeare-char-lstm")
    typed = ["", "R", "ROMEO:⏎What", "ROMEO:⏎What light is", "ROMEO:⏎That light is", "", "ё\u0301\u202e\tb", "zq" * 60]
    agree(page, opened, texts(opened, typed, *ORDERS, {"roles": []}))


def test_a_model_of_words_is_drawn_as_the_server_draws_it(page: Page) -> None:
    opened = shipped("wikitext2-word-lstm")
    views = [{"layers": [0, 1]}, {"layers": [1], "roles": ["forget_gate", "hidden"]}, *ORDERS]
    said = "He said that she didn't know what it was, but they were all there."
    agree(
        page,
        opened,
        texts(
            opened,
            [said, said[:40], "zxq vfd kkl sss fff ggg rrr www", "the zxq vfd was of the sss and the", " ", "a⏎⏎b"],
            *views,
        ),
    )


@pytest.mark.parametrize("name", ["brackets", "agreement", "lineups/recall/gru", "lineups/recall/lstmp"])
def test_a_grammar_is_read_after_what_was_read_before_it(name: str, page: Page) -> None:
    opened = shipped(name)
    typed = {"brackets": "(x(xx(x", "agreement": "the key near the cabinet with"}.get(name, "bz?bxyx?bzyxy")
    agree(
        page,
        opened,
        texts(opened, [typed, typed[:5], typed + "⏎" + typed, "⏎", "", "é", examples_for(opened)[0].text], *ORDERS),
    )


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("classify_text/recall-lstm", ["bz?bxyx?", "bz?bxyx?b", "", "?", "q"]),
        (
            "classify_text/agreement-lstm",
            ["the key near the cabinets", "the keys", "the keys are", "the key q the dogs"],
        ),
        ("tag/between-lstm", ["axxxbyyczzza", "axxxbyyczz", "xa", "axx bq"]),
        (
            "tag/nonsense-words",
            ["the plimped plimps plimped the", "Quilkin snirply wozzled the frumbous mivness and Q"],
        ),
        ("tag/expressions-lstm", ["max ( 3 , min ( 7 , 2 ) , 5 )", "max ( 3 , min ( 7 , 2 ) , first ( 5", ") ) 5 )"]),
    ],
)
def test_labels_of_a_text_are_said_and_judged_as_the_server_does(name: str, typed: list[str], page: Page) -> None:
    agree(page, opened := shipped(name), texts(opened, typed, *ORDERS))


def test_what_is_asked_of_other_texts_is_what_it_says_itself(page: Page, make_checkpoint) -> None:
    """Nobody knows what is right in them, and there are more labels than are listed."""
    for task, many in (("classify_text", 3), ("tag", 70)):
        reads, labels = (
            Vocabulary.of("word", ["the", "key", "is"]),
            Vocabulary("label", tuple(f"l{k}" for k in range(many))),
        )
        config = ModelConfig(cell="gru", embedding_size=3, hidden_size=40, tokens_read=len(reads))
        torch.manual_seed(1)
        weights = weights_of(LanguageModel(config, many))
        train = TrainConfig("mine", "word", task=task)
        own = replace(make_checkpoint(), model=config, vocabulary=labels, reads=reads, weights=weights, train=train)
        opened = prepare(replace(own, results={"valid_nll": 1.0, "valid_accuracy": 0.5}))
        agree(page, opened, texts(opened, ["the key is", "the key", "is is is is the the the key key"], *ORDERS))


@pytest.mark.parametrize("name", ["digits-lstm", "digits-permuted-rnn", "mnist-lstm-128"])
def test_an_image_is_read_row_by_row_as_on_the_server(name: str, page: Page) -> None:
    opened, steps = shipped(f"classify/{name}"), []
    side = opened.side or 0
    for k, image in enumerate(examples(side)[:3]):
        pixels, label = image[:, :-1].copy(), int(image[0, -1])
        pixels[side // 2 :] = examples(side)[0, side // 2 :, :-1] if k == 1 else pixels[side // 2 :]
        said, shows = None if k == 1 else label, (f"{label}", None, "A")[k]
        about = {
            "pixels": pixels.flatten().tolist(),
            "label": said,
            "shows": shows,
            "notes": notes_on_image(opened, shows),
        }
        steps.append(step(opened, read_image(opened, pixels, said), ORDERS[k], **about))
    agree(page, opened, steps)


def test_models_of_other_shapes_are_drawn_as_the_server_draws_them(page: Page, make_checkpoint) -> None:
    """Tied, with many words, with an adaptive softmax; and of a text that is longer than what is read of it."""
    words = Vocabulary.of("word", [f"w{k}" for k in range(10_000)])
    tied = make_checkpoint(tie_weights=True, embedding_size=4, num_layers=2)
    adaptive = make_checkpoint(vocabulary=words, hidden_size=8, adaptive_softmax=True)
    for checkpoint, typed in (
        (tied, ["abc\nab c", "abc ab", "zz"]),
        (adaptive, ["w5 w9999 x w7⏎ w8 w1 w2 w3 w4", "w5 w9999"]),
    ):
        opened = prepare(checkpoint)
        agree(
            page,
            opened,
            texts(opened, typed, {"layers": [0]}, {"layers": [*range(len(opened.tracks))], "order": "index"}),
        )


@pytest.mark.parametrize("vocabulary", [None, Vocabulary.of("word", ["ab", "c", "did", "n't", ","])])
def test_a_long_text_is_cut_where_the_server_cuts_it(vocabulary, page: Page, make_checkpoint, monkeypatch) -> None:
    """How much more there is it counts in slices."""
    monkeypatch.setattr("lstmviz.opened.MAX_TOKENS", 50)
    opened = prepare(make_checkpoint(vocabulary=vocabulary))
    long = ("ab  c \u0301didn't,\u00a0x\r\n" * LONGEST)[:LONGEST]
    agree(page, opened, texts(opened, ["ab", "ab c" * 30, long, "ab"]))


def test_a_reading_pauses_and_goes_on(page: Page, make_checkpoint) -> None:
    opened = prepare(make_checkpoint())
    found = page.evaluate(PAUSED, {"model": given(opened), "text": "ab c" * 30})
    assert found["counts"] == [1, 2, 3, 120] and found["equal"] and found["first"] == [False, False, False, True]


# In calls whose time is up a column is read each; what is drawn at last is as when all is read at once.
PAUSED = """async ({ model, text }) => {
  const { Opened, Reading } = await import("/reading.js"), { drawn } = await import("/drawn.js");
  const weights = new Float32Array(await (await fetch(`data:;base64,${model.weights}`)).arrayBuffer());
  const opened = new Opened(model.live, weights), counts = [], first = [];
  const [reading, whole] = [new Reading(opened), new Reading(opened)];
  const view = { layers: [0], roles: ["cell"], order: "similar", selection: { time: 0, unit: 0, layer: 0 } };
  for (const deadline of [0, 0, 0, Infinity]) {
    first.push(reading.toText(text, deadline));
    counts.push(drawn(reading, view).tokens.length);
  }
  whole.toText(text);
  return { counts, first, equal: JSON.stringify(drawn(reading, view)) === JSON.stringify(drawn(whole, view)) };
}"""


@pytest.mark.parametrize(("name", "typed"), [("shakespeare-char-lstm", "ROM"), ("brackets", ""), ("agreement", "the")])
def test_what_it_writes_is_read_before_it_writes_on(name: str, typed: str, page: Page) -> None:
    """Where only the likeliest can follow, it is what the server's model writes; else the same for the same seed."""
    opened = shipped(name)
    model, seen, vocabulary = given(opened), read(opened, typed), opened.checkpoint.vocabulary
    more = write_on(opened, seen, 8, temperature=0.5, top_k=1, seed=0)
    told = page.evaluate(WRITTEN, {"model": model, "text": typed, "temperature": 0.5, "topK": 1})
    assert len(told) == 8 and vocabulary.encode(told[-1]) == vocabulary.encode(vocabulary.joined(typed, more))
    twice = [page.evaluate(WRITTEN, {"model": model, "text": typed, "temperature": 2, "topK": 0}) for _ in range(2)]
    assert twice[0] == twice[1] != told


WRITTEN = """async ({ model, text, ...options }) => {
  const { Opened, Reading } = await import("/reading.js"), { writing } = await import("/writing.js");
  const weights = new Float32Array(await (await fetch(`data:;base64,${model.weights}`)).arrayBuffer());
  const reading = new Reading(new Opened(model.live, weights)), found = [];
  reading.toText(text);
  for (const more of writing(reading, { count: 8, seed: 1, ...options })) {
    found.push(more);
    reading.toText(more);
  }
  return found;
}"""


def test_the_token_that_a_key_changed(page: Page) -> None:
    rng = random.Random(0)
    pairs = [[rng.choices("ab", k=rng.randint(1, 6)) for _ in range(2)] for _ in range(200)]
    told = page.evaluate(
        "async (p) => { const { lastChanged } = await import('/drawn.js');"
        " return p.map(([a, b]) => lastChanged(a, b)); }",
        pairs,
    )
    times = [select(Selected(Selection(0, 0), before), after, None).time for before, after in pairs]
    assert [time or 0 for time in told] == times
    assert [time is None for time in told] == [before == after for before, after in pairs]


# ---- what is right, and what is written ------------------------------------------------------------------------------

RULED = [(task, corpus) for task in TASKS.values() for corpus in task.right]


@pytest.mark.parametrize(("task", "corpus"), RULED, ids=[corpus for _, corpus in RULED])
def test_what_is_right_is_the_same_in_the_page(task: Task, corpus: str, page: Page) -> None:
    rng, cases = random.Random(0), [[]]
    for _ in range(200):
        tokens = [*task.drawn[corpus](rng)]
        others = [*tokens, ")", "toString", "Ǆon", "<unk>"]
        cases += [tokens, tokens[: rng.randint(1, len(tokens))], rng.choices(others, k=rng.randint(1, 12))]
    rule = json.loads(json.dumps({"rule": corpus, "tables": task.tables[corpus]}))
    found = page.evaluate(
        "async ([rule, cases]) => { const { rightLabels } = await import('/right.js');"
        " return cases.map((tokens) => rightLabels(rule, tokens)); }",
        [rule, cases],
    )
    assert found[1:] == [[*task.right[corpus](case)] for case in cases[1:]]
    assert any(label for labels in found for label in labels)


def test_what_a_long_text_took_is_given_back(page: Page, make_checkpoint) -> None:
    took = page.evaluate(
        """async ({ live, weights }) => {
          const { Opened, Reading } = await import("/reading.js"), { drawn } = await import("/drawn.js"), took = [];
          const bytes = Uint8Array.from(atob(weights), (sign) => sign.charCodeAt(0));
          const reading = new Reading(new Opened(live, new Float32Array(bytes.buffer)));
          const view = { layers: [0], roles: ["cell"], order: "index", selection: { time: 0, unit: 0, layer: 0 } };
          const room = ({ values, codes }) => (values?.length ?? 0) + (codes?.length ?? 0);
          for (const text of ["abc".repeat(400), "abc"]) {
            reading.toText(text);
            drawn(reading, view);
            const kept = [...reading.trace.tracks.flatMap(Object.values), ...reading.planes.values()];
            took.push(kept.reduce((sum, each) => sum + room(each), 0));
          }
          return took;
        }""",
        given(prepare(make_checkpoint(hidden_size=128))),
    )
    assert took[1] < took[0] / 4


DRAWN = """async ([scores, options, count]) => {
  const { sampled, seeded } = await import("/writing.js"), times = {};
  const random = seeded(3), notes = { not_finite: "not finite", nothing_follows: "nothing" };
  const given = scores.map((score) => score ?? NaN);
  try {
    for (let k = 0; k < count; k++) {
      const id = sampled(given, options, random, notes);
      times[id] = (times[id] ?? 0) + 1;
    }
  } catch (error) { return error.message; }
  return times;
}"""


def test_a_token_is_drawn_by_its_score_and_never_one_that_is_no_text(page: Page) -> None:
    p = torch.tensor([0.5, 0.1, 0.1, 0.02, 0.2, 0.05, 0.03])
    for temperature, top_k in ((1.0, 0), (0.5, 0), (2.0, 3), (1.0, 1), (1.0, 50)):
        options = {"temperature": temperature, "topK": top_k}
        times = page.evaluate(DRAWN, [p.log().tolist(), options, 4000])
        share = torch.tensor([times.get(f"{i}", 0) / 4000 for i in range(7)])
        scores = p.log() / temperature
        scores[:3] = -torch.inf
        if top_k:
            scores[scores < scores.topk(min(top_k, 7)).values[-1]] = -torch.inf
        assert share.sub(scores.softmax(0)).abs().max() < 0.03
    never, odd = [0, 0, 0, *[-1e999] * 4], [0.0, None, 0, 0]
    assert page.evaluate(DRAWN, [odd, {"temperature": 1, "topK": 0}, 1]) == "not finite"
    assert page.evaluate(DRAWN, [never, {"temperature": 1, "topK": 0}, 1]) == "nothing"
