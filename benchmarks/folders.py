"""What one bad file does to the others: nothing.

    python benchmarks/folders.py [--mutants 500] [--seed 0]

A run, a line-up and a kept text are made; then, again and again, one of their files is damaged in one way (bytes
flipped, cut short, emptied, other JSON, another's content, a folder, a link to itself, a pipe, no rights, gone), or
stands there a second time under an odd name, or a whole folder has a name that is odd or no UTF-8. Each time the pages
Train, Watch and Compare are opened, and the commands runs, stop, evaluate, trace, corpus list, resume and sweep are
given, all in this process. Counted are tracebacks, what waits without an end, and how often the damage to one run took
another out of `runs` or off the Train page.
"""

import argparse
import io
import itertools
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from streamlit.testing.v1 import AppTest

from lstmviz import cli
from lstmviz.config import ModelConfig, TrainConfig
from lstmviz.data.corpora import import_text, load_corpus
from lstmviz.training import sweep as sweeps
from lstmviz.training.folder import Run, RunConfig, runs
from lstmviz.training.grid import lineup
from lstmviz.training.process import execute
from lstmviz.training.status import write_status
from lstmviz.training.sweep import Sweep
from lstmviz.ui.session import Train

ROOT = Path(__file__).parents[1]
# Root may read what nobody may; without these two capabilities it may not.
AS_OTHERS = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
HANGS_AFTER = 60  # seconds
TRAINS_FOR = 2  # seconds at most: a damaged number can ask for very many steps
TEXT = "the cat (sat) on the mat .\n" * 60
TRAIN = TrainConfig("", bptt=16, batch_size=8, steps=12, eval_every=4)
MODEL = ModelConfig(hidden_size=6, embedding_size=4)
ODD = (
    b"00000040 (copy).npz",
    b"\xff\xfe.json",
    b"a__b",
    b"-x",
    "“ü”🧠\n%#?&'\"`$*".encode(),
    b"x" * 255,
    b"x as gru",
    b"\\x41",
)
VALUES = (b"5", b"{}", b"[]", b"null", b'"a"', b"1e999", b'{"step": -1}', b"[" * 100_000, b"hello\n", b"\xff\xfe\n")


# ---- what is damaged ------------------------------------------------------------------------------------------------


def flip(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 1, 8))):
        if data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def number(path: Path, chance: random.Random) -> None:
    """A digit becomes very many, a minus sign or no number."""
    data = path.read_bytes()
    if digits := [i for i, byte in enumerate(data) if chr(byte).isdigit()]:
        at = chance.choice(digits)
        data = data[:at] + chance.choice((b"9" * 400, b"-1", b"NaN", b"1e999", b'"x"', b"null")) + data[at + 1 :]
    path.write_bytes(data)


def odd_copy(path: Path, chance: random.Random) -> None:
    shutil.copy(path, os.fsencode(path.parent) + b"/" + chance.choice(ODD))


def instead(make: Callable[[Path], object]) -> Callable[[Path, random.Random], None]:
    def damage(path: Path, _: random.Random) -> None:
        path.unlink()
        make(path)

    return damage


def other(path: Path, chance: random.Random) -> None:
    """What stands in another file of the same tree."""
    path.write_bytes(chance.choice([each for each in sorted(path.parent.rglob("*")) if each.is_file()]).read_bytes())


KINDS: dict[str, Callable[[Path, random.Random], object]] = {
    "flipped": flip,
    "cut short": lambda path, chance: os.truncate(path, chance.randrange(1 + path.stat().st_size)),
    "emptied": lambda path, _: path.write_bytes(b""),
    "other JSON": lambda path, chance: path.write_bytes(chance.choice(VALUES)),
    "other number": number,
    "a line more": lambda path, chance: path.write_bytes(path.read_bytes() + chance.choice(VALUES) + b"\n"),
    "another's": other,
    "a folder": instead(Path.mkdir),
    "a link to itself": instead(lambda path: path.symlink_to(path.name)),
    "a pipe": instead(os.mkfifo),
    "no rights": lambda path, _: path.chmod(0),
    "gone": instead(lambda path: None),
    "an odd copy": odd_copy,
    "folder without rights": lambda path, _: path.parent.chmod(0),
    "folder with an odd name": lambda path, chance: renamed(path, chance),
}


def renamed(path: Path, chance: random.Random) -> None:
    folder = path.parent.parent if path.parent.name == "probes" else path.parent
    folder.rename(os.fsdecode(os.fsencode(folder.parent) + b"/" + chance.choice(ODD)))


# ---- what is tried ---------------------------------------------------------------------------------------------------


class Looks:
    """Everybody who looks at a folder, and what went wrong when they did."""

    def __init__(self, home: Path) -> None:
        self.home, self.tracebacks, self.missing = home, Counter[str](), Counter[str]()
        self.doing, self.seconds = "", Counter[str]()

    @contextmanager
    def watched(self, what: str) -> Iterator[None]:
        signal.alarm(HANGS_AFTER)
        begun = time.process_time()
        try:
            yield
            self.seconds[what] += time.process_time() - begun
        except (Exception, Hangs) as error:
            self.fail(what, error)
        finally:
            signal.alarm(0)

    def fail(self, what: str, error: object) -> None:
        self.tracebacks[what] += 1
        print(f"\n{self.doing}: {what}: {error!r}", flush=True)
        if isinstance(error, BaseException):
            traceback.print_exception(error)

    def lose(self, what: str, names: list[str]) -> None:
        if names:
            self.missing[what] += 1
            print(f"\n{self.doing}: {what} lost {', '.join(names)}", flush=True)

    def page(self, name: str, memory: Train | None = None, **query: str | list[str]) -> AppTest | None:
        """A page, if it was drawn.

        Args:
            memory: what is remembered of the visit.
            query: what the link says.
        """
        app = AppTest.from_file(str(ROOT / "lstmviz/pages/frame.py"), default_timeout=HANGS_AFTER)
        app.query_params.update(query)
        if memory:
            app.session_state["Train"] = memory
        with self.watched(f"page {name}"):
            app.switch_page(f"{name}.py").run()
            for exception in app.exception:
                self.fail(f"page {name}", f"{exception.message}\n" + "\n".join(exception.stack_trace))
            return None if app.exception else app

    def command(self, *arguments: object) -> str:
        """What it printed."""
        said = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace", write_through=True)
        sys.argv = ["lstmviz", *map(str, arguments)]
        with (
            self.watched(f"command {arguments[0]}"),
            redirect_stdout(said),
            redirect_stderr(io.StringIO()),
            suppress(SystemExit),
        ):
            cli.main()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        return said.buffer.getvalue().decode()  # type: ignore[attr-defined]

    def training(self, command: str, folder: Path) -> None:
        """A command that trains."""

        def stop() -> None:
            for each in (folder, *folder.glob("*/")):
                with suppress(OSError):
                    Run(each).ask("stop")

        timer = threading.Timer(TRAINS_FOR, stop)
        timer.start()
        self.command(command, folder)
        timer.cancel()

    def all(self, others: dict[str, str]) -> None:
        """Every page and every command.

        Args:
            others: the runs that nothing was done to, by name, with their lines in `runs`.
        """
        home = self.home
        said = self.command("runs", home / "runs").splitlines()
        self.lose("command runs", [name for name, line in others.items() if line not in said])
        damaged = [run.name for run in runs(home / "runs") if run.name not in others] or ["whole"]
        for name in damaged:
            if app := self.page("train", Train(run=name)):
                shown = {*app.dataframe[0].value["run"]} if len(app.dataframe) else set()
                self.lose("page train", [name for name in others if name not in shown])
        self.page("watch", model=f"run {damaged[0]}")
        self.page("compare", models=[f"run {damaged[0]}", "run whole"])
        self.command("corpus", "list")
        for folder in sorted((home / "runs").iterdir()):
            if folder.name.startswith(".") or folder.name == "whole":
                continue
            self.command("stop", folder)
            if os.path.lexists(folder / "sweep.json"):
                self.training("sweep", folder)
            else:
                self.training("resume", folder)
                self.command("evaluate", folder / "best.safetensors", "--corpus", home.parent / "text.txt")
                self.command("trace", folder / "best.safetensors", "(x)", "--out", home / "trace.csv")
        for text in sorted((home / "corpora").iterdir()):
            with self.watched("a kept text"), suppress(ValueError, OSError):  # a sentence
                load_corpus(text, "word")


def make(home: Path, text: Path) -> None:
    """A run that is whole, one that was stopped, a line-up and a kept text."""
    train = replace(TRAIN, corpus=str(text))
    list(execute(Run.create(home / "runs" / "whole", RunConfig(train, MODEL, "(sat)"))))
    stopped = execute(Run.create(home / "runs" / "run", RunConfig(train, MODEL, "(sat)")))
    next(record for record in stopped if record.step == 8)
    stopped.close()  # type: ignore[attr-defined]
    write_status(home / "runs" / "run", "stopped", 8)
    whole = Sweep.create(home / "runs" / "lineup", lineup(train, {"hidden_size": 4}, ("gru", "rnn")), 20)
    list(whole.execute(1))
    load_corpus(import_text([text], "text", home / "corpora"), "word")


@contextmanager
def in_threads(_: int) -> Iterator[Callable]:
    """Train a line-up's members here: a process for each would take its time for importing."""
    with ThreadPoolExecutor(1) as pool:
        yield lambda folder: pool.submit(sweeps.train_member, folder)


def remove(home: Path) -> None:
    """Whatever rights its folders have left."""
    for folder, *_ in os.walk(home):
        os.chmod(folder, 0o700)
        for name in os.listdir(folder):
            if os.path.isdir(path := os.path.join(folder, name)):
                os.chmod(path, 0o700)
    shutil.rmtree(home, ignore_errors=True)


def rights_count() -> bool:
    """Whether a file that nobody may read is not read."""
    with tempfile.NamedTemporaryFile() as file:
        os.chmod(file.name, 0)
        return not os.access(file.name, os.R_OK)


class Hangs(BaseException):  # which nothing takes for an error of a file
    """Something waits without an end."""


def hang(*_: object) -> None:
    raise Hangs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if not rights_count():
        if os.environ.get("AS_OTHERS") or not shutil.which(AS_OTHERS[0]):
            sys.exit("rights do not count here: run this as somebody else than root")
        os.environ["AS_OTHERS"] = "1"
        os.execvp(AS_OTHERS[0], [*AS_OTHERS, sys.executable, *sys.argv])
    signal.signal(signal.SIGALRM, hang)
    chance, begun = random.Random(arguments.seed), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        home, pristine = Path(folder, "home"), Path(folder, "pristine")
        sweeps._here = in_threads
        os.chdir(folder)
        os.environ["LSTMVIZ_HOME"] = str(home)
        (text := Path(folder, "text.txt")).write_text(TEXT)
        make(pristine, text)
        files = [path.relative_to(pristine) for path in sorted(pristine.glob("*/*/**/*")) if path.is_file()]
        files = [path for path in files if "whole" not in path.parts and path.name not in ("lock", ".lock")]
        choices = [*itertools.product(files, KINDS)]
        chance.shuffle(choices)
        looks, kinds = Looks(home), Counter[str]()
        lines = {line.split()[0]: line for line in looks.command("runs", pristine / "runs").splitlines()}
        for path, kind in itertools.islice(itertools.cycle(choices), arguments.mutants):
            remove(home)
            shutil.copytree(pristine, home)
            os.chdir(home)
            looks.doing = f"{path} {kind}"
            KINDS[kind](home / path, chance)
            kinds[kind] += 1
            of_member = path.parts[1] == "lineup" and len(path.parts) > 3  # else it is of all its members
            touched = "/".join(path.parts[1 : 3 if of_member else 2])
            looks.all({name: line for name, line in lines.items() if not name.startswith(touched)})
        remove(home)
    tracebacks, lost = sum(looks.tracebacks.values()), sum(looks.missing.values())
    print(
        f"{arguments.mutants} mutants of {len(files)} files, in {time.perf_counter() - begun:.0f} s: "
        f"{tracebacks} tracebacks, {lost} times another run was lost"
    )
    print("  " + ", ".join(f"{what} {seconds:.1f} s" for what, seconds in looks.seconds.most_common()))
    print("  " + ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())))
    if tracebacks or lost:
        sys.exit(f"tracebacks: {dict(looks.tracebacks)}; lost: {dict(looks.missing)}")


if __name__ == "__main__":
    main()
