"""Many people on one server: what a key costs them, what one who reads much costs the others, what is given back.

    python benchmarks/load.py [--sessions 1 20 50] [--keys 20] [--opened 1000]
    python benchmarks/load.py --sessions 1 5 --opened 50    # the short form, in which times are only printed

The real server is asked over its websocket, as a browser asks it: a session opens the page and types at a person's
pace, whether or not the map has come. A key's time runs from its message to the end of the first run that drew it.

- typists: median and 95th percentile of a key, the server's processor time a key, and errors: none;
- a neighbour: five typists alone, and beside one who pastes 2,000 words into the shipped word model again and again, in
  turns; their 95th percentile at most doubles;
- readers: ten people paste 2,000 words each; after all have left, memory is within 15 % of what it was after one had
  left, so what is meant to stay (models, torch's own memory) is counted once;
- visits: sessions opened and closed; memory within 15 % of what it was after a tenth of them, no thread left, and
  of files only those of the 128 sessions that Streamlit keeps for who comes back.

Exits with 1 where a figure is missed. Times count from 50 sessions on: a machine with other work would fail them.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import statistics
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

from serving import server
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

ROOT = Path(__file__).parents[1]
LIGHT, HEAVY = "shakespeare-char-lstm-128", "wikitext2-word-lstm"
SPEECH = (
    "ROMEO: What light is this, that breaks so soon the night? It is the east, and she that looks upon us is the sun. "
)
WORDS = "the history of a town near river was first written by its people in new years after war and many came".split()
PACE = 0.3  # seconds between two keys: 40 words a minute
LIGHT_TYPISTS, READERS, PASTED = 5, 10, 2000
PATIENCE = 60  # seconds until a key that was never drawn counts as an error
ROOM = 1.15  # memory afterwards beside before
KEPT_FILES = 3 * 128  # an event loop for each session that Streamlit keeps


class Server:
    """The app on a port of its own, and what the system says of its process."""

    def __init__(self, address: str, pid: int) -> None:
        self.address, self.proc = address, Path(f"/proc/{pid}")

    def status(self, name: str) -> int:
        """A number of ``/proc/PID/status``; sizes in kB."""
        line = next(line for line in (self.proc / "status").read_text().splitlines() if line.startswith(f"{name}:"))
        return int(line.split()[1])

    def memory(self) -> float:
        """Resident, in MB."""
        return self.status("VmRSS") / 1024

    def peak(self) -> float:
        """The most since ``forget_peak``, in MB."""
        return self.status("VmHWM") / 1024

    def forget_peak(self) -> None:
        (self.proc / "clear_refs").write_text("5")

    def files(self) -> int:
        return len(os.listdir(self.proc / "fd"))

    def seconds(self) -> float:
        """Processor time so far."""
        fields = (self.proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Session:
    """One browser's part of the protocol: what it asks for, and what it is told."""

    def __init__(self, connection: ClientConnection, query: str) -> None:
        self.connection, self.query = connection, query
        self.page = self.fragment = self.box = self.map = ""  # what the server calls them
        self.held: list[str] = []  # blocks of values that the map holds
        self.shown = 0  # tokens of the last map
        self.drawn: list[tuple[float, int]] = []  # when a run ended, and how many tokens it had drawn by then
        self.errors: list[str] = []
        self.ended = asyncio.Event()  # a run

    async def listen(self) -> None:
        """Take what comes, until the connection is closed."""
        try:
            async for data in self.connection:
                assert isinstance(data, bytes)
                self.take(ForwardMsg.FromString(data))
        except ConnectionClosed as error:
            self.errors.append(f"the connection was lost: {error}")

    def take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self.page = message.new_session.page_script_hash
        elif kind == "delta":
            element = message.delta.new_element
            which = element.WhichOneof("type")
            if which == "text_input" and element.text_input.label == "sentence":
                self.box, self.fragment = element.text_input.id, message.delta.fragment_id
            elif which == "exception":
                self.errors.append(element.exception.message)
            elif which == "bidi_component" and element.bidi_component.component_name.endswith("gate_map"):
                self.map = element.bidi_component.id
                self.draw(element.bidi_component.bytes)
        elif kind == "script_finished" and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            if message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                self.errors.append("the script does not compile")
            self.drawn.append((time.perf_counter(), self.shown))
            self.ended.set()

    def draw(self, data: bytes) -> None:
        """Read the two headers of a gate map's message, as ``web/wire.js`` does."""
        (frame,) = struct.unpack_from("<I", data)
        if len(data) == 4 + frame:
            return  # nothing to draw
        (length,) = struct.unpack_from("<I", data, 4 + frame)
        header = json.loads(data[8 + frame : 8 + frame + length])
        self.shown = len(header["tokens"])
        self.held = [name for name, tokens, _ in header["blocks"] if tokens == 32]

    async def ask(self, text: str | None = None) -> None:
        """Open the page, or put a text into its box."""
        message = BackMsg()
        message.rerun_script.query_string = self.query
        message.rerun_script.page_script_hash = self.page
        if text is not None:
            message.rerun_script.fragment_id = self.fragment
            message.rerun_script.widget_states.widgets.add(id=self.box, string_value=text)
            message.rerun_script.widget_states.widgets.add(id=self.map, json_value=json.dumps({"held": self.held}))
        self.ended.clear()
        await self.connection.send(message.SerializeToString())

    async def whole(self, text: str | None = None) -> None:
        """Ask, and wait for the end of the run."""
        await self.ask(text)
        try:
            await asyncio.wait_for(self.ended.wait(), PATIENCE)
        except TimeoutError:
            self.errors.append(f"nothing came within {PATIENCE} seconds")

    async def type(self, count: int) -> list[float]:
        """Type so many keys at a person's pace; the seconds of each."""
        rng, begun = random.Random(), len(SPEECH) // 2
        await self.whole(SPEECH[:begun])
        await asyncio.sleep(rng.random() * PACE)
        asked = []
        for length in range(begun + 1, begun + 1 + count):
            asked.append((time.perf_counter(), length))
            await self.ask(SPEECH[:length])
            await asyncio.sleep(PACE * rng.uniform(0.5, 1.5))
        limit = time.perf_counter() + PATIENCE
        while self.drawn[-1][1] < begun + count and time.perf_counter() < limit:
            await asyncio.sleep(0.01)
        found = [next((end - at for end, shown in self.drawn if end > at and shown >= n), None) for at, n in asked]
        self.errors += ["a key was never drawn"] * found.count(None)
        return [seconds for seconds in found if seconds is not None]


@asynccontextmanager
async def session(server: Server, model: str = LIGHT, text: str = "To be") -> AsyncIterator[Session]:
    """A browser with the page open."""
    address, query = (
        f"{server.address.replace('http', 'ws', 1)}/_stcore/stream",
        urlencode({"model": model, "text": text, "by": "server"}),  # the page asks nothing of it at a key
    )
    async with connect(address, subprotocols=["streamlit"], max_size=None, compression=None) as connection:  # pyright: ignore[reportArgumentType]
        opened = Session(connection, query)
        listening = asyncio.create_task(opened.listen())
        await opened.whole()
        yield opened
        await connection.close()
        await listening


class Findings:
    """What was found, printed as it comes, and whether all is as it should be."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def say(self, figure: str, missed: str = "") -> None:
        print(f"{figure}{f'   MISSED: {missed}' if missed else ''}", flush=True)
        self.missed += [missed] * bool(missed)


def p95(values: list[float]) -> float:
    return sorted(values)[round(0.95 * (len(values) - 1))]


def times(values: list[float]) -> str:
    return f"median {1000 * statistics.median(values):6.1f} ms, 95th percentile {1000 * p95(values):6.1f} ms"


async def typing(server: Server, count: int, keys: int, findings: Findings) -> list[float]:
    """So many typists side by side; the seconds of all their keys."""
    async with AsyncExitStack() as stack:
        typists = [await stack.enter_async_context(session(server)) for _ in range(count)]
        before = server.seconds()
        found = list(itertools.chain(*await asyncio.gather(*(typist.type(keys) for typist in typists))))
        spent = 1000 * (server.seconds() - before) / (count * keys)
        errors = [error for typist in typists for error in typist.errors]
    said = f"{len(errors)} errors, the first: {errors[0]}" if errors else ""
    findings.say(f"{count:4} typing: {times(found)}, server {spent:5.1f} ms of processor a key", said)
    return found


def words(number: int) -> str:
    """2,000 words; another text for every number."""
    return " ".join(random.Random(number).choices(WORDS, k=PASTED))


async def pasting(server: Server, stop: asyncio.Event, findings: Findings) -> None:
    """The heavy neighbour: a new text as soon as the last one is drawn."""
    async with session(server, HEAVY) as reader:
        took = []
        while not stop.is_set():
            begun = time.perf_counter()
            await reader.whole(words(len(took)))
            took.append(time.perf_counter() - begun)
        findings.say(f"     beside {len(took)} pastes of {PASTED:,} words, {statistics.median(took):.2f} s each",
                     "; ".join(reader.errors))  # fmt: skip


async def neighbour(server: Server, keys: int, judged: bool, findings: Findings) -> None:
    alone, beside = [], []
    for _ in range(3 if judged else 1):
        alone += await typing(server, LIGHT_TYPISTS, keys, findings)
        stop = asyncio.Event()
        reading = asyncio.create_task(pasting(server, stop, findings))
        beside += await typing(server, LIGHT_TYPISTS, keys, findings)
        stop.set()
        await reading
    ratio = p95(beside) / p95(alone)
    missed = f"it may be 2 × at most, and is {ratio:.2f} ×" if judged and ratio > 2 else ""
    findings.say(f"a heavy neighbour makes the 95th percentile {ratio:.2f} ×", missed)


async def settled(server: Server, most: float) -> float:
    """Memory in MB, once it is at most so much, or after ten seconds."""
    for _ in range(20):
        if server.memory() <= most:
            break
        await asyncio.sleep(0.5)
    return server.memory()


async def readers(server: Server, findings: Findings) -> None:
    """Ten people who each paste 2,000 words, at once."""

    async def read(number: int, left: asyncio.Barrier) -> list[str]:
        async with session(server, HEAVY) as reader:
            await reader.whole(words(number))
            await left.wait()  # nobody leaves before all have read
            return reader.errors

    errors = await read(0, asyncio.Barrier(1))
    await asyncio.sleep(2)
    before = server.memory()
    server.forget_peak()
    all_read = asyncio.Barrier(READERS)
    for found in await asyncio.gather(*(read(number, all_read) for number in range(1, 1 + READERS))):
        errors += found
    peak, after = server.peak(), await settled(server, ROOM * before)
    errors += ["more than 15 % stays"] * (after > ROOM * before)
    memory = f"{before:.0f} MB before, {peak:.0f} MB at the peak, {after:.0f} MB after"
    findings.say(f"{READERS} readers of {PASTED:,} words: {memory}", "; ".join(errors))


async def visits(server: Server, count: int, findings: Findings) -> None:
    """Sessions that open the page and leave, ten at a time."""

    async def come_and_go(number: int) -> None:
        places = asyncio.Semaphore(10)

        async def one() -> None:
            async with places, session(server) as visitor:
                errors.extend(visitor.errors)

        await asyncio.gather(*(one() for _ in range(number)))
        await asyncio.sleep(2)

    errors: list[str] = []
    await come_and_go(max(20, count // 10))
    before, files, threads = server.memory(), server.files(), server.status("Threads")
    await come_and_go(count)
    after = await settled(server, ROOM * before)
    more_files, more_threads = server.files() - files, server.status("Threads") - threads
    missed = [*errors[:1], *["more than 15 % stays"] * (after > ROOM * before)]
    missed += [f"{more_files} files are left"] * (more_files > KEPT_FILES)
    missed += [f"{more_threads} threads are left"] * (more_threads > 0)
    memory = f"{before:.0f} MB before, {after:.0f} MB after, {more_files:+} files, {more_threads:+} threads"
    findings.say(f"{count:,} sessions opened and closed: {memory}", "; ".join(missed))


async def run(arguments: argparse.Namespace, server: Server) -> list[str]:
    findings = Findings()
    for count in arguments.sessions:
        await typing(server, count, arguments.keys, findings)
    await neighbour(server, arguments.keys, max(arguments.sessions) >= 50, findings)
    await readers(server, findings)
    await visits(server, arguments.opened, findings)
    return findings.missed


def main() -> None:
    parser = argparse.ArgumentParser(description="Many people on one server.")
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 20, 50], help="how many type side by side")
    parser.add_argument("--keys", type=int, default=20, help="that each of them types")
    parser.add_argument("--opened", type=int, default=1000, help="sessions that are opened and closed")
    arguments = parser.parse_args()
    if min(*arguments.sessions, arguments.keys, arguments.opened) < 1:
        parser.error("all numbers must be at least 1")
    with server() as (address, pid):
        started = Server(address, pid)
        missed = asyncio.run(run(arguments, started))
    if missed:
        sys.exit(f"{len(missed)} missed")


if __name__ == "__main__":
    main()
