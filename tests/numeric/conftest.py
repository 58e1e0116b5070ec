"""The table of which cell has which proof, at the end of every run that has any."""

from collections.abc import Iterable

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "proof(title): a column of the table cell × proof; the test's `name` is the row")


def pytest_collection_modifyitems(items: Iterable[pytest.Function]) -> None:
    for item in items:
        if mark := item.get_closest_marker("proof"):
            item.user_properties.append(("proof", (item.callspec.params["name"], mark.args[0])))


def pytest_terminal_summary(terminalreporter) -> None:
    good: dict[tuple[str, str], bool] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for key, place in report.user_properties:
                if key == "proof":
                    good[place] = good.get(place, True) and outcome == "passed"
    if not good:
        return
    cells, titles = (list(dict.fromkeys(names)) for names in zip(*good, strict=True))
    terminalreporter.section("cell × proof")
    terminalreporter.write_line("".join([" " * 14, *(f"{title:^18}" for title in titles)]))
    for cell in cells:
        signs = ({True: "yes", False: "FAILED", None: "·"}[good.get((cell, title))] for title in titles)
        terminalreporter.write_line("".join([f"{cell:14}", *(f"{sign:^18}" for sign in signs)]))
