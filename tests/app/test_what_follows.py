"""The typed context: what was counted after it, without a browser."""

from streamlit.testing.v1 import AppTest


def show(name: str) -> None:
    from lstmviz.ui.what_follows import what_follows

    what_follows(name)


def open_context(name: str) -> AppTest:
    return AppTest.from_function(show, args=(name,), default_timeout=180).run()


def test_what_was_counted_after_a_context_is_told() -> None:
    app = open_context("baselines-characters")
    assert not app.exception and not app.error
    table = app.markdown[1].value
    assert "| `O␣Rome` |" not in table and "| `␣Rome` |" in table  # a 6-gram looks at five characters
    app.text_input[0].set_value("zqxj|").run()
    assert not app.exception
    table = app.markdown[1].value
    assert table.count("| never | 0 of 69 | – | 100.0% |") == 5  # the bar is one of the tokens that it does not know
    assert "| nothing | 1,003,854 | 65 of 69 |" in table
    app.text_input[0].set_value("").run()
    assert app.markdown[1].value.count("\n") == 2 and not app.exception


def test_each_writes_on() -> None:
    app = open_context("baselines-characters")
    app.button[0].click().run()
    assert not app.exception
    written = app.markdown[2].value
    assert [row.split(" | ")[0] for row in written.splitlines()[2:]] == [
        *(f"| {n}\u2011gram" for n in range(2, 7)),
        "| LSTM",
    ]
