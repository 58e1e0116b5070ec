"""What a view that the page makes itself hears: of keys, and of the server."""

from playwright.sync_api import Page


def test_the_last_of_key_and_server_wins(web_page: Page) -> None:
    heard = web_page.evaluate(
        """async () => {
          const { Typed } = await import("/here.js"), typed = new Typed(), texts = [];
          const see = () => texts.push(typed.text);
          typed.hear("a"); see(); // at first
          typed.type("ab"); typed.type("abc"); see();
          typed.hear("a"); see(); // it says again what it said
          typed.hear("ab"); see(); // and late what was typed
          typed.type("abcd"); typed.hear("abc"); see();
          typed.hear("an example"); see(); // but this is new
          typed.hear("an example"); typed.type("an example!"); typed.hear("an example"); see();
          typed.type("an example"); typed.hear("an example"); typed.hear("another"); see();
          typed.hear("an example"); see(); // chosen once more, and no echo of what was typed before
          return texts;
        }"""
    )
    assert heard == ["a", "abc", "abc", "abc", "abcd", "an example", "an example!", "another", "an example"]
