"""Installed or cloned, the same comes along; and the page and every command look in the same place."""

import sys
import tomllib
from pathlib import Path

import pytest
import streamlit.web.cli

import lstmviz
from lstmviz.__main__ import main
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.home import SHIPPED, Home
from lstmviz.training import trainings
from lstmviz.training.folder import Run, RunConfig
from lstmviz.ui import sources

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a command line in this process and gives what it printed."""

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["lstmviz", *arguments])
        main()
        return capsys.readouterr().out

    return run


def test_every_file_that_the_app_needs_is_installed() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {name: ROOT / asked["package-dir"].get(name, name.replace(".", "/")) for name in asked["packages"]}
    installed = {path for folder in folders.values() for path in folder.glob("*.py")}
    for name, patterns in asked["package-data"].items():
        installed |= {path for pattern in patterns for path in folders[name].glob(pattern)}
    needed = {path for path in (ROOT / "lstmviz").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    needed |= {ROOT / "app.py", ROOT / ".streamlit/config.toml", *(ROOT / "checkpoints").rglob("*.*")}
    assert not needed - installed
    assert SHIPPED == ROOT  # as in a clone


def test_runs_and_texts_lie_where_one_stands_or_where_the_environment_says(monkeypatch, tmp_path, run) -> None:
    for home in (tmp_path / "here", tmp_path / "said"):
        config = RunConfig(TrainConfig("brackets"), ModelConfig())
        Run.create(home / "runs" / f"from-{home.name}", config)
        (home / "text.txt").write_text("abc " * 99)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("LSTMVIZ_HOME", raising=False)
    for home in ("here", "said"):  # it is asked at every call, not kept from the first
        assert [each.name for each in trainings.every(Home.here())] == [f"from-{home}"]
        assert run("runs").startswith(f"from-{home} ")
        run("corpus", "import", "text.txt")
        assert (tmp_path / home / "corpora/text/text.txt").exists() and "text " in run("corpus", "list")
        assert not sources.Trained.every(Home.here())  # which has no weights yet
        monkeypatch.setenv("LSTMVIZ_HOME", "../said")


def test_app_gives_streamlit_what_follows_it(monkeypatch, run) -> None:
    monkeypatch.setattr(streamlit.web.cli, "main", lambda prog_name: print(*sys.argv))
    monkeypatch.setitem(sys.modules, "lstmviz.cli", None)  # which brings torch, and is not asked
    monkeypatch.delattr(lstmviz, "cli", raising=False)
    assert run("app", "--server.port", "1").split() == ["streamlit", "run", str(ROOT / "app.py"), "--server.port", "1"]


def test_app_says_how_to_get_streamlit(monkeypatch, run) -> None:
    monkeypatch.setitem(sys.modules, "streamlit", None)
    monkeypatch.delitem(sys.modules, "lstmviz.ui.server", raising=False)
    with pytest.raises(SystemExit, match=r'^lstmviz: .* is not here .*pip install streamlit, or, .*"\.\[app\]"$'):
        run("app")


def test_all_that_is_public_is_there() -> None:
    assert all(hasattr(lstmviz, name) for name in lstmviz.__all__)
    with pytest.raises(AttributeError, match="'lstmviz' has no attribute 'trace_modules'"):
        lstmviz.trace_modules  # noqa: B018
