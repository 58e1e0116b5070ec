"""What tests share: small checkpoints, the shipped ones, and the app in a real browser."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright

from lstmviz.cells import CELLS
from lstmviz.checkpoint import Checkpoint, weights_of
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.vocabulary import Vocabulary
from lstmviz.home import Home
from lstmviz.model import LanguageModel
from lstmviz.training import trainings
from lstmviz.training.status import LIVING
from tests.minimal_gated_unit import MinimalGatedUnit

ROOT = Path(__file__).parent.parent
torch.set_num_threads(1)

# Of Chromium: the lists under the address that nobody opens, which cost each new page half a second of processor time;
# and what Playwright 1.65 switches off itself, since of two such lists Chromium reads the last.
WITHOUT = (
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup",
    "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints", "NetworkTimeServiceQuerying", "AimEnabled",
    "PreconnectToSearch",
)  # fmt: skip


@pytest.fixture(scope="session")
def make_checkpoint() -> Callable[..., Checkpoint]:
    """Makes an untrained checkpoint over a, b, c, newline and space: ``make_checkpoint(cell="gru", seed=1, …)``."""

    def make(seed: int = 0, vocabulary: Vocabulary | None = None, **options) -> Checkpoint:
        vocabulary = vocabulary or Vocabulary.of("char", "abc \n")
        config = ModelConfig(**{"embedding_size": 3, "hidden_size": 4, **options})
        torch.manual_seed(seed)
        return Checkpoint(
            model=config,
            train=TrainConfig(corpus="test"),
            vocabulary=vocabulary,
            weights=weights_of(LanguageModel(config, len(vocabulary))),
            step=50,
            history={"step": [25, 50], "train_nll": [2.1, 1.9], "valid_nll": [None, 2.0]},
            results={"valid_nll": 2.0, "test_nll": 2.05},
            corpus_name="test",
            corpus_sha256="0" * 64,
            licence="none",
            command="python -m lstmviz train runs/test --corpus test",
        )

    return make


@pytest.fixture(scope="session")
def classifier(make_checkpoint) -> Callable[..., Checkpoint]:
    """Makes an untrained checkpoint that reads 8 × 8 digits: ``classifier(cell="gru", labels="012", …)``."""

    def make(labels: str = "0123456789", **options) -> Checkpoint:
        config = ModelConfig(**{"embedding_size": 8, "hidden_size": 12, "row_size": 8, **options})
        torch.manual_seed(0)
        return replace(
            make_checkpoint(),
            model=config,
            train=TrainConfig("digits", task="classify", batch_size=32, learning_rate=3e-2, steps=80, eval_every=40),
            vocabulary=Vocabulary("label", tuple(labels)),
            weights=weights_of(LanguageModel(config, len(labels))),
            results={"valid_nll": 2.3, "valid_accuracy": 0.125, "test_nll": 2.4, "test_accuracy": 0.25},
        )

    return make


@pytest.fixture
def minimal_gated_unit(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name, in ``CELLS`` for as long as the test runs, of a cell whose forget gate is how much it writes."""
    monkeypatch.setitem(CELLS, "mgu", MinimalGatedUnit)
    return "mgu"


@contextmanager
def serving(home: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    """The app's address and its process, started as ``streamlit run app.py`` does it; gone at the end. What people
    train there lies in ``home``: a test sees no training of another one, nor of who runs the tests.
    """
    log = home / "log.txt"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless=true"]
    with log.open("w") as output:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "LSTMVIZ_HOME": str(home)}
        server = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
        give_up = time.monotonic() + 60
        while not _is_healthy(address):
            if server.poll() is not None or time.monotonic() > give_up:
                pytest.fail(f"the app did not start:\n{log.read_text()}")
            time.sleep(0.1)
        yield address, server
    finally:
        server.kill()
        server.wait(10)


@pytest.fixture(scope="session")
def app_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """What is made on ``app_server``."""
    return Home(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="session")
def app_process(app_home: Home) -> Iterator[tuple[str, subprocess.Popen]]:
    """As `serving`, one for all tests of this process."""
    with serving(app_home.folder) as server:
        yield server


@pytest.fixture(scope="session")
def app_server(app_process: tuple[str, subprocess.Popen]) -> str:
    """The address of the app, served by a process of its own."""
    return app_process[0]


@contextmanager
def stopped(server: subprocess.Popen) -> Iterator[None]:
    """It stands still meanwhile."""
    server.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.send_signal(signal.SIGCONT)


@pytest.fixture
def home(app_home: Home) -> Iterator[Home]:
    """As `app_home`, for a test that trains there: its trainings end with it, and are gone."""
    yield app_home
    for run in trainings.every(app_home):
        if (status := run.status()) and status.state in LIVING and status.pid:
            os.kill(status.pid, signal.SIGKILL)
    for _ in range(50):  # one that is about to end may still write
        shutil.rmtree(app_home.runs, ignore_errors=True)
        if not app_home.runs.exists():
            break
        time.sleep(0.1)


def _is_healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "proof(title): a column of the table cell × proof; the test's `name` is the row")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side with other tests, those that need a browser follow each other in three processes, with one each: the
    tests of trainings in the app, which wait a lot, all others of the app, and those without the app. Of the rest those
    that begin processes go first: one of them, begun last, would leave the other cores idle.
    """
    long = {"test_sweep.py", "test_parallel.py", "test_run.py", "test_people.py", "test_train.py"}
    items.sort(key=lambda item: item.path.name not in long)
    trainings = {"test_training.py", "test_experiments.py", "test_people.py", "test_typing.py"}
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            group = "web" if item.path.parent.name == "web" else "trainings" if item.path.name in trainings else "app"
            item.add_marker(pytest.mark.xdist_group(group))
        if isinstance(item, pytest.Function) and (mark := item.get_closest_marker("proof")):
            item.user_properties.append(("proof", (item.callspec.params["name"], mark.args[0])))


def pytest_terminal_summary(terminalreporter) -> None:
    """The tables of which cell has which proof, and which explanation, at the end of every run that has any."""
    proofs(terminalreporter)
    explanations(terminalreporter)


def explanations(terminalreporter) -> None:
    said: dict[tuple[str, str], str] = {}
    for report in (*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())):
        said |= {
            (name, title): why
            for key, value in report.user_properties
            if key == "explained"
            for name, title, why in [value]
        }
    if not said:
        return
    cells, titles = (list(dict.fromkeys(names)) for names in zip(*said, strict=True))
    reasons = list(dict.fromkeys(why for why in said.values() if why != "yes"))
    terminalreporter.section("cell × explanation")
    terminalreporter.write_line("".join([" " * 14, *(f"{title:^15}" for title in titles)]))
    for cell in cells:
        signs = (said.get((cell, title), "·") for title in titles)
        signs = (f"no ({reasons.index(sign) + 1})" if sign in reasons else sign for sign in signs)
        terminalreporter.write_line("".join([f"{cell:14}", *(f"{sign:^15}" for sign in signs)]))
    for number, why in enumerate(reasons, 1):
        terminalreporter.write_line(f"({number}) {why}")


def proofs(terminalreporter) -> None:
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


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium: ``$CHROMIUM``, else the one on the PATH, else Playwright's own; without any the test is skipped."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        try:
            # A container's /dev/shm is often too small for Chromium.
            switches = ["--disable-dev-shm-usage", f"--disable-features={','.join(WITHOUT)}"]
            browser = playwright.chromium.launch(executable_path=path, args=switches)
        except Error as error:
            message = f"no Chromium could be started; set CHROMIUM to one, or install it: {error}"
            if os.environ.get("LSTMVIZ_REQUIRE_BROWSER"):
                pytest.fail(message)
            pytest.skip(message)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def window(browser: Browser) -> Iterator[BrowserContext]:
    """One for all pages of the app: what its scripts cost to fetch and to compile is spent once, and not for each page,
    where it is most of the time.
    """
    # Playwright's wait_for_function evaluates a string, which the page's policy forbids; test_people.py keeps it.
    yield browser.new_context(bypass_csp=True, permissions=["clipboard-read", "clipboard-write"])


@pytest.fixture
def page(app_server: str, window: BrowserContext) -> Iterator[Callable[..., Page]]:
    """Opens the app: ``page("?text=abc", dark=True)`` gives a Playwright page, closed after the test."""
    pages = []

    def open_page(path: str = "", *, begin: str = "", size: tuple[int, int] = (1440, 900), dark: bool = False) -> Page:
        opened = window.new_page()
        pages.append(opened)
        opened.set_viewport_size({"width": size[0], "height": size[1]})
        opened.emulate_media(color_scheme="dark" if dark else "light")
        if begin:
            opened.add_init_script(begin)
        opened.goto(f"{app_server}/{path}")
        return opened

    yield open_page
    for opened in pages:
        opened.close()


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """What a test draws unseeded, the weights of a new model for instance, is the same at every run."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def main_stays() -> Iterator[None]:
    """Streamlit puts the page that it runs in the place of the main module, which processes begun later would run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main
