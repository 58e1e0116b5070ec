"""Interventions in a link, in words and in the hands of a person: the part *what if* of the Inside page."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from lstmviz import load
from lstmviz.data.images import examples
from lstmviz.home import SHIPPED
from lstmviz.opened import prepare
from tests.web.test_engine import sent, wild

ROUND = """async (links) => {
  const { fromLink, linkOf } = await import("/interventions.js");
  return links.map((link) => { const [list, problems] = fromLink(link); return [linkOf(list), list, problems]; });
}"""

# A part in an empty page, under a host that remembers options and selects as web/inside.js does.
PART = """async ([module, name, models, text, options]) => {
  const { Opened, Reading } = await import("/reading.js"), { readTheme } = await import("/paint/pen.js");
  const Part = (await import(`/inside/${module}`))[name];
  document.body.replaceChildren();
  const place = document.body.appendChild(Object.assign(document.createElement("div"), { className: "part" }));
  const part = window.part = { options, at: { time: 4, unit: 1, layer: 0 }, place, model: 0 };
  const readings = await Promise.all(models.map(async ([live, weights]) => {
    const bytes = await (await fetch(`data:;base64,${weights}`)).arrayBuffer();
    return new Reading(new Opened(live, new Float32Array(bytes)));
  }));
  part.show = (text) => {
    const reading = readings[part.model], { opened, trace } = reading;
    if (text !== undefined) part.text = text;
    reading.toText(part.text);
    part.at.time = Math.min(part.at.time, reading.count - 1);
    const theme = readTheme(document.body), { live, model } = opened;
    part.made.show({ reading, trace, live, model, at: { ...part.at }, theme, options: { ...part.options } });
  };
  part.made = new Part(place, {
    select: (to) => { Object.assign(part.at, to); part.show(); },
    option: (name, value) => { part.options[name] = value; part.show(); },
    theme: () => readTheme(document.body),
  });
  part.show(text);
}"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model writes little when it is opened: what it wrote is not looked at here."""
    monkeypatch.setattr("lstmviz.opened.written_at_most", lambda model: 16)


@pytest.fixture
def what_if(web_page: Page, make_checkpoint) -> Callable[..., Page]:
    """The part over an LSTM and a GRU, the first of which is shown."""

    def show(text: str = "ab caab", module: str = "hold.js", name: str = "HoldSection", **options: str) -> Page:
        models = [sent(prepare(wild(make_checkpoint(cell=cell, hidden_size=4)))) for cell in ("lstm", "gru", "rnn")]
        web_page.evaluate(PART, [module, name, models, text, options])
        return web_page

    return show


def test_a_link_says_interventions_and_what_of_it_is_none(web: Callable[..., Any], shared_page: Page) -> None:
    good = [
        "forget_gate.9-11.14 at 0.25 from 3 to 7",
        "cell times 0 layer 2 from 3 and off cut at 5",
        "token at 4 is %20 and hidden.0 at -1e-05 from 0",
        "",
    ]
    for link, (again, _, problems) in zip(good, shared_page.evaluate(ROUND, good), strict=True):
        assert again.replace("-0.00001", "-1e-05") == link and not problems
    units = shared_page.evaluate(ROUND, good)[0][1][0]
    assert units["units"] == [9, 10, 11, 14] and (units["from"], units["to"], units["value"]) == (3, 7, 0.25)
    bad = [
        "forget_gate at NaN from 3 and cut at 2",
        "forget_gate.3-1 at 0 from 3",
        "forget_gate at 0 from 3 to 2",
        "<b>x</b>",
        "cut at 3 and " * 40,
        "forget_gate.0-99999 at 0 from 0",
    ]
    for (link, _, problems), said in zip(
        shared_page.evaluate(ROUND, bad),
        ["no finite", "no list", "ends before", "no intervention", "first 24", "no list"],
        strict=True,
    ):
        assert len(problems) == 1 and said in problems[0]
        assert link.startswith("cut at") == (said in ("no finite", "first 24"))  # what is good of it is kept
    assert web("interventions.js", "unitsOf", "9, 11-12") == [9, 11, 12]
    assert web("interventions.js", "unitsOf", "nine") is None


def test_what_is_held_is_said_changed_and_in_the_link(what_if: Callable[..., Page]) -> None:
    page = what_if(hold="forget_gate.1 at 0 from 2 and cut at 5 and what")
    words, sums = page.locator(".interventions .words"), page.locator(".sum")
    assert words.all_inner_texts() == [
        "forget gate f of unit 1 held at 0.00 from “␣” (2) on",
        "all states cut before “a” (5)",
    ]
    assert "“what” is left out" in page.locator(".notes").inner_text()
    both = sums.inner_text()
    page.locator(".interventions input[type=checkbox]").nth(1).uncheck()
    assert (
        page.evaluate("part.options.hold") == "forget_gate.1 at 0 from 2 and off cut at 5" and sums.inner_text() != both
    )
    page.locator(".interventions input[type=checkbox]").nth(0).uncheck()
    assert sums.inner_text() == "None of it is in force: this is the model as it is."
    page.locator(".interventions input[type=checkbox]").nth(0).check()
    page.get_by_title("remove it").nth(1).click()
    slider = page.locator(".editor:not([hidden]) input[type=range]")
    for value in ("0.3", "0.8"):
        slider.evaluate("(it, value) => { it.value = value; it.dispatchEvent(new Event('input')); }", value)
    assert (
        page.evaluate("part.options.hold") == "forget_gate.1 at 0.8 from 2"
        and page.evaluate("part.made.current[0].value") == 0.8
    )
    page.get_by_role("button", name="its mean").click()
    mean = page.evaluate("part.made.list[0].value")
    values = page.evaluate("[...part.made.seen.trace.values(0, 'forget_gate')]")[1::4]
    assert mean == pytest.approx(sum(values) / len(values), rel=1e-3)
    page.get_by_text("cut here").click()
    assert words.nth(1).inner_text() == "all states cut before “a” (4)"
    page.evaluate("part.show('ab')")  # shorter than what is held
    assert page.locator(".why").nth(1).inner_text().startswith("It begins at 4, behind the end")


def test_another_model_keeps_what_it_lacks_and_names_it(what_if: Callable[..., Page]) -> None:
    page = what_if(hold="forget_gate.1 at 7 from 2 and hidden.2-9 at 0.5 from 1 and token at 1 is q")
    whys = page.locator(".why")
    assert whys.all_inner_texts() == [
        "A forget gate is 0 to 1: held at 1.",
        "This model has units 0 to 3: without 4-9.",
        "The model does not know “q”: it reads <unk>.",
    ]
    page.evaluate("part.model = 1; part.show()")
    assert whys.first.inner_text() == "gru has no forget gate: skipped here."
    assert page.evaluate("part.options.hold").startswith("forget_gate.1 at 7 from 2")
    page.locator(".words").first.click()
    gate, slider = (page.locator(f".editor:not([hidden]) {field}") for field in ("select", "input[type=range]"))
    assert gate.evaluate("({ selectedOptions: [option] }) => [option?.textContent, option?.disabled]") == [
        "forget gate",
        True,
    ]
    assert slider.input_value() == "7"
    page.evaluate("part.model = 0; part.show()")
    assert whys.first.inner_text() == "A forget gate is 0 to 1: held at 1."


def test_what_is_skipped_does_not_count(what_if: Callable[..., Page]) -> None:
    skipped = [
        "hidden.9 at 0 from 1",
        "cell at 0 layer 2 from 1",
        "cell at 0 from 7",
        "cut at 7",
        "forget_gate times 0 from 1",
    ]
    page = what_if(hold=" and ".join(skipped))
    assert page.locator(".sum").inner_text() == "None of it is in force: this is the model as it is."
    assert page.locator(".pictures [aria-pressed=true]").inner_text() == "before"
    page.evaluate("part.show('ab caabc')")  # so long that two of them begin
    assert page.evaluate("part.made.current.map(({ op }) => op)") == ["hold", "cut"]


def test_units_are_ranked_and_taken_up(what_if: Callable[..., Page]) -> None:
    page = what_if()
    page.get_by_text("rank the units").click()
    page.get_by_text("4 of 4 units").wait_for()
    first = page.locator(".rank").first
    changes = page.locator(".rank .value").all_inner_texts()
    first.click()
    losses = page.evaluate("[part.made.seen.reading.nll[4], part.made.forced.nll[4]]")
    assert float(changes[0].replace("−", "-")) == pytest.approx(losses[1] - losses[0], abs=0.006)
    assert page.locator(".interventions .words").inner_text().startswith("cell state c of unit")
    page.locator(".facts .after", has_text=re.compile("[abc]")).wait_for()


def test_the_sentence_says_what_the_equations_show(what_if: Callable[..., Page]) -> None:
    page = what_if("ab caab" * 3, module="step.js", name="StepSection")
    told = page.evaluate("""() => Array.from({ length: 84 }, (_, k) => {
      Object.assign(part.at, { time: k >> 2, unit: k & 3 });
      part.show();
      return [".said", "[data-symbol=c] .numbers"].map((name) => part.place.querySelector(name).textContent);
    })""")
    for sentence, numbers in told:  # "0.80 ⊙ (−2.00) + 0.50 ⊙ 0.10 = −1.60 + 0.05 = −1.55"
        wrote = sentence.partition("writes ")[2].partition(", ")[0]
        sign, size = re.findall(r" ([+−]) ([\d.]+) = [^=]*$", numbers)[0]
        assert wrote.lstrip("+") == sign.replace("+", "") + size


def test_who_wrote_it_says_the_sum_and_why_there_is_none(what_if: Callable[..., Page]) -> None:
    page = what_if(module="memory.js", name="MemorySection")
    bars, begun, held = map(
        float, page.locator(".sum b").evaluate_all("(all) => all.map((b) => b.textContent.replace('−', '-'))")
    )
    assert bars + begun == pytest.approx(held, abs=0.011)
    assert held == pytest.approx(page.evaluate("part.made.seen.trace.held(0)[4 * 4 + 1]"), abs=0.006)
    assert page.evaluate("part.made.told(1, 4, -0.321)[1]") == "of what “b” (1) wrote, after “a” (4) is left: −0.321"
    page.get_by_text("all units").click()
    assert "All units together hold" in page.locator(".sum").inner_text() and page.evaluate("part.options.norm") == "1"
    page.evaluate("part.show('a')")
    page.evaluate("part.model = 2; part.show()")
    assert page.locator(".all").is_hidden()
    assert "no memory that is a sum over tokens" in page.locator(".quiet").first.inner_text()


def test_where_there_is_no_loss_none_is_said(what_if: Callable[..., Page]) -> None:
    """One token has none, and a loss that is no number is not left out of a mean."""
    page = what_if("a", hold="forget_gate.1 at 0 from 0")
    assert page.locator(".sum").inner_text() == "No token here has a loss that could change."
    page.get_by_text("rank the units").click()
    assert page.get_by_text("Nothing predicts the first token").is_visible()
    page.evaluate("part.model = 1; part.options.hold = 'hidden times 1e300 from 2'; part.show('ab caab')")
    assert page.locator(".sum").inner_text().endswith("after, there are tokens without a loss that is a number.")


def test_a_change_that_two_digits_do_not_show_is_not_coloured_as_if_it_were_large(what_if: Callable[..., Page]) -> None:
    page = what_if(hold="cell times 1.0001 from 1")
    limit = "part.made.difference(part.made.seen.live.roles.find(({ role }) => role === 'cell'), [0, 1, 2, 3]).limit"
    assert page.evaluate(limit) == 0.01
    page.evaluate("part.options.hold = 'cell times 0 from 1'; part.show()")
    assert page.evaluate(limit) > 0.05
    page.evaluate("part.options.hold = 'cell.1 times 3 from 1'; part.show()")
    assert page.evaluate(limit.replace("0, 1, 2, 3", "0, 2, 3")) < page.evaluate(limit) / 3  # of those that are shown


def test_the_difference_of_losses_is_that_of_the_two_that_stand_there(what_if: Callable[..., Page]) -> None:
    page = what_if()
    said = page.evaluate(
        """() => Array.from({ length: 41 }, (_, k) => {
          part.options.hold = `forget_gate at ${k / 40} from 0`;
          part.show();
          part.made.go(Infinity); // to the end, on a slow machine too
          return document.querySelector(".sum").textContent;
        })"""
    )
    assert len(set(said)) > 1
    for each in said:
        was, now, *by = map(float, re.findall(r"\d+\.\d+", each))
        assert [round(abs(now - was), 2)] == (by or [0.0])
        assert ("worse" in each, "better" in each) == (now > was, now < was)


def test_what_is_scaled_is_scaled_again_at_every_token(what_if: Callable[..., Page]) -> None:
    page = what_if(hold="cell.1 times 1.5 from 3 and cell.1 times 1.5 from 1 to 3 and cell.1 times 1.5 from 3 to 3")
    assert [said.partition("times ")[2] for said in page.locator(".interventions .words").all_inner_texts()] == [
        "1.50 at every token from “c” (3) on",
        "1.50 at every token from “b” (1) to “c” (3)",
        "1.50 at “c” (3)",
    ]
    assert page.get_by_label("the factor").is_visible()
    assert page.locator(".facts h4").nth(1).inner_text().startswith("at the end it writes on")


def test_a_field_says_no_longer_that_it_is_wrong(what_if: Callable[..., Page]) -> None:
    page = what_if(hold="forget_gate.1 at 0.004 from 2")
    assert page.locator(".interventions .words").inner_text().startswith("forget gate f of unit 1 held at 0.004 ")
    units = page.get_by_role("textbox", name="units")
    units.fill("x")
    assert units.get_attribute("aria-invalid") == "true"
    page.get_by_role("button", name="the selected unit").click()
    assert (units.input_value(), units.get_attribute("aria-invalid")) == ("1", "false")
    units.fill("all")  # as it says of all of them
    assert units.get_attribute("aria-invalid") == "false" and page.evaluate("part.made.list[0].units") is None
    page.locator("[name=from]").fill("12345678")  # a link to which can be read again
    assert page.evaluate(ROUND, [page.evaluate("part.options.hold")])[0][2] == []


def test_the_selected_column_stays_in_view_and_its_frame_out_of_the_scale(what_if: Callable[..., Page]) -> None:
    page = what_if("ab caab " * 12, hold="forget_gate.1 at 0 from 2")
    inside, inked = page.evaluate("""async () => {
      const { along } = await import("/view.js"), { rgb } = await import("/paint/pen.js");
      const { sheet, seen: { theme } } = part.made, { scroll, canvas, paint } = sheet;
      Object.assign(scroll.style, { overflowX: "auto" });
      Object.assign(sheet.spacer.style, { height: "1px" });
      part.at.time = 60;
      part.show();
      part.place.style.width = "700px";
      for (let k = 0; k < 4; k++) await new Promise(requestAnimationFrame);
      const begin = along(sheet.view, 60), { column, right, left } = sheet.view, from = begin - scroll.scrollLeft;
      const inside = scroll.scrollLeft > 0 && from >= 0 && from + column <= right - left;
      scroll.scrollLeft = begin - (right - left) + column / 3; // a third of it is in view
      sheet.redraw();
      const primary = `${rgb(theme.primary)}`, { dpr } = sheet.view, edge = Math.ceil((right + 3) * dpr);
      const { data } = paint.getImageData(edge, canvas.height / 2, canvas.width - edge, canvas.height / 2);
      let inked = 0;
      for (let k = 0; k < data.length; k += 4) if (`${data.slice(k, k + 3)}` === primary) inked++;
      return [inside, inked];
    }""")
    assert (inside, inked) == (True, 0)


def test_another_image_has_a_ranking_of_its_own(web_page: Page) -> None:
    opened = prepare(load(SHIPPED / "checkpoints/classify/digits-lstm.safetensors"))
    images = [[image[:, :-1].flatten().tolist(), int(image[0, -1])] for image in examples(opened.side or 0)[:2]]
    script = PART.replace("reading.toText(part.text)", "reading.toImage(Uint8Array.from(part.text[0]), part.text[1])")
    web_page.evaluate(script, ["hold.js", "HoldSection", [sent(opened)], images[0], {}])
    web_page.evaluate("part.options.hold = 'cell at 0 from 2 to 5 and cell at 0 from 70'; part.show()")
    web_page.locator(".words").first.click()  # rows are counted from 1, in words and in the fields; in the link from 0
    assert web_page.locator(".words").first.inner_text().endswith("from row 3 to row 6")
    ends = [web_page.locator(f".editor:not([hidden]) [name={name}]") for name in ("from", "to")]
    assert [end.input_value() for end in ends] == ["3", "6"]
    ends[0].fill("4")
    assert web_page.evaluate("part.options.hold").startswith("cell at 0 from 3 to 5 and")
    assert web_page.locator(".why").nth(1).inner_text().startswith("It begins at 71,")
    web_page.evaluate("part.options.hold = null; part.show()")
    web_page.get_by_text("rank the units").click()
    web_page.locator(".rank").first.wait_for()
    web_page.evaluate("(image) => part.show(image)", images[1])
    assert web_page.locator(".rank").count() == 0
    web_page.evaluate("(image) => part.show(image)", [images[1][0], None])
    web_page.get_by_text("rank the units").click()
    assert web_page.get_by_text("Nobody knows what is right here").is_visible()
