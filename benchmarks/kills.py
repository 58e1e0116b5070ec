"""What SIGKILL and a full disk do to a training: nothing, if a run is what it says.

    python benchmarks/kills.py [--kills 50] [--saves 500] [--full 0] [--workers 1] [--lineup [--ray]]

First one training is left alone and its twin is killed at random moments, again and again, and resumed each time; then
both are compared, bit for bit: weights, optimiser, random generators, place in the data, every record. Then a process
that does nothing but save is killed at random moments, and the file is opened after each kill.

With --workers 2 or more, torchrun trains with so many processes; a random one of them is killed each time, and nobody
resumes it: torchrun does.

With --lineup, a line-up trains; a random one of its workers is killed each time and begun again by the line-up, whose
own process is the last to be killed, and resumed. With --ray as well, a Ray cluster with two workers trains it, and
nobody resumes anything: Ray does. The digests stand beside those of a line-up on this machine that was left alone.
With --full N, a training writes to a small disk (a tmpfs, so this is for root), which is filled to its last byte N
times while it trains, once before its process can say anything, and once before it is begun. Each time it must be said
within two seconds that the disk is full; then there is room again, it is resumed, and both are compared as before.
"""

import argparse
import errno
import hashlib
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError

sys.path.insert(0, str(Path(__file__).parents[1]))

from lstmviz.checkpoint import load
from lstmviz.disk import reason
from lstmviz.training import children
from lstmviz.training.children import status_of
from lstmviz.training.folder import Run, runs
from lstmviz.training.status import LIVING

ROOT = Path(__file__).parents[1]
OPTIONS = (
    "--corpus brackets --hidden-size 24 --embedding-size 8 --num-layers 2 --dropout 0.2 --eval-every 400 --seed 4"
).split()
SAVER = """
import sys, torch, safetensors.torch
from pathlib import Path
from lstmviz.disk import write_atomically
number = 0
while True:
    number += 1
    tensors = {"weights": torch.full((500_000,), float(number)), "number": torch.tensor(number)}
    write_atomically(Path(sys.argv[1]), safetensors.torch.save(tensors))
"""


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "lstmviz", *map(str, arguments)]


def torchrun(workers: int, restarts: int, *arguments: object) -> list[str]:
    options = (f"--nproc-per-node={workers}", f"--max-restarts={restarts}", "--standalone")
    return [sys.executable, "-m", "torch.distributed.run", *options, "-m", "lstmviz", *map(str, arguments)]


def start(arguments: list[str]) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def differences(one: Path, other: Path) -> list[str]:
    """What two finished runs do not have in common."""
    found = []
    states = [safetensors.torch.load_file(run / "last.safetensors") for run in (one, other)]
    if states[0].keys() != states[1].keys():
        return ["the names of the tensors"]
    found += [name for name in states[0] if name != "clock" and not torch.equal(states[0][name], states[1][name])]
    timed = ("seconds", "tokens_per_second")
    records = [[json.loads(line) for line in (run / "metrics.jsonl").open()] for run in (one, other)]
    for lines in records:
        for record in lines:
            for name in timed:
                del record[name]
    if records[0] != records[1]:
        found.append(f"the records: {len(records[0])} and {len(records[1])}")
    if sorted(p.name for p in (one / "probes").iterdir()) != sorted(p.name for p in (other / "probes").iterdir()):
        found.append("the probes")
    return found


def digest(run: Path) -> str:
    """Of all that a finished run ends with; only its clock may differ from another's."""
    digest = hashlib.sha256()
    for name, tensor in sorted(safetensors.torch.load_file(run / "last.safetensors").items()):
        if name != "clock":
            digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def steps_for(kills: int) -> tuple[str, int]:
    return "--steps", max(4000, 260 * kills)


def kill_trainings(kills: int, folder: Path) -> None:
    steps = steps_for(kills)
    begun = time.perf_counter()
    assert start(command("train", folder / "alone", *OPTIONS, *steps)).wait() == 0
    whole = time.perf_counter() - begun
    twin, done, killed = folder / "killed", False, 0
    process = start(command("train", twin, *OPTIONS, *steps))
    chance = random.Random(0)
    while not (twin / "config.json").exists() and process.poll() is None:
        time.sleep(0.05)  # before, there is nothing to go on with
    while not done:
        try:
            # Importing takes a second or two; most of the time after it is training.
            process.wait(chance.uniform(0.5, 7.0) if killed < kills else None)
            done = True
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
            process = start(command("resume", twin))
    assert process.returncode == 0, process.returncode
    found = differences(folder / "alone", twin)
    print(f"{killed} SIGKILLs during a training of {whole:.0f} s; afterwards "
          f"{'every bit is the same' if not found else 'these differ: ' + ', '.join(found)}")  # fmt: skip
    if found or killed < kills:
        sys.exit(f"{killed} of {kills} kills; different: {found}")


def kill_workers(kills: int, folder: Path, workers: int) -> None:
    steps = (*steps_for(kills), "--batch-size", 8 * workers)
    begun = time.perf_counter()
    assert start(torchrun(workers, 0, "train", folder / "alone", *OPTIONS, *steps)).wait() == 0
    whole = time.perf_counter() - begun
    process = start(torchrun(workers, kills, "train", folder / "killed", *OPTIONS, *steps))
    killed, seen, chance = 0, set(), random.Random(0)
    while killed < kills and process.poll() is None:
        pids = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if len(pids) < workers or seen & set(pids):  # not all of them are new
            time.sleep(0.05)
            continue
        time.sleep(chance.uniform(0.5, 12.0))  # importing takes some of it, meeting the others as well
        try:
            os.kill(int(chance.choice(pids)), signal.SIGKILL)
            killed += 1
        except ProcessLookupError:
            continue  # it has finished
        seen |= set(pids)
    assert process.wait() == 0, process.returncode
    found = differences(folder / "alone", folder / "killed")
    print(f"torchrun with {workers} processes, a training of {whole:.0f} s; {killed} times one was killed:")
    for run in ("alone", "killed"):
        print(f"  {run:<6} {digest(folder / run)}")
    print(f"  {'every bit is the same' if not found else 'these differ: ' + ', '.join(found)}")
    if found or killed < kills:
        sys.exit(f"{killed} of {kills} kills; different: {found}")


def kill_lineup(kills: int, folder: Path, ray: bool) -> None:
    options = "--corpus brackets --parameters 6000 --embedding-size 8 --batch-size 16 --eval-every 400".split()
    asked = (*options, "--cells", "lstm", "gru", "rnn", "janet", "--steps", max(1500, 600 * kills))
    assert start(command("sweep", folder / "alone", *asked)).wait() == 0
    with cluster() if ray else nullcontext() as address:
        where = ("--ray", address) if ray else ()
        process = start(command("sweep", folder / "killed", *asked, *where))
        killed, seen, chance = 0, set(), random.Random(0)
        while killed < kills:
            if process.poll() is not None:
                sys.exit(f"the line-up ended with {process.returncode} after {killed} of {kills} kills")
            time.sleep(chance.uniform(0.5, 3.0))
            statuses = [run.status() for run in runs(folder) if run.folder.parent.name == "killed"]
            pids = [s.pid for s in statuses if s and s.state == "running" and s.step and s.pid not in seen]
            if not pids:
                continue
            if killed == kills - 1 and not ray:
                process.send_signal(signal.SIGKILL)
                process.wait()
                process = start(command("sweep", folder / "killed"))
            else:
                seen.add(pid := chance.choice(pids))
                os.kill(pid, signal.SIGKILL)
            killed += 1
        assert process.wait() == 0, process.returncode
    where = "two Ray workers" if ray else "this machine"
    print(f"{kills} SIGKILLs during a line-up on {where}; digests of its members:")
    print(f"  {'':<6} {'left alone':<20} killed")
    found = []
    for run in runs(folder):
        if run.folder.parent.name == "alone":
            twin = folder / "killed" / run.folder.name
            one, other = (load(member / "best.safetensors").digest for member in (run.folder, twin))
            found += [f"{run.folder.name}: {what}" for what in differences(run.folder, twin)]
            found += [f"{run.folder.name}: the digest"] * (one != other)
            print(f"  {run.folder.name:<6} {one[:20]} {other[:20]}")
    print(f"  {'every bit is the same' if not found else 'these differ: ' + ', '.join(found)}")
    if found:
        sys.exit(f"different: {found}")


@contextmanager
def cluster() -> Iterator[str]:
    """The address of a Ray cluster of this machine with two workers, whose token only we know; gone at the end."""
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    options = f"--head --block --num-cpus=2 --node-ip-address=127.0.0.1 --port={port} --include-dashboard=false"
    process = start([sys.executable, "-m", "ray.scripts.scripts", "start", *options.split(), "--disable-usage-stats"])
    try:
        give_up = time.monotonic() + 120
        while start([sys.executable, "-m", "ray.scripts.scripts", "status", "--address", address]).wait():
            assert process.poll() is None and time.monotonic() < give_up, "Ray did not start"
        yield address
    finally:
        process.terminate()
        process.wait()


def kill_saves(kills: int, folder: Path) -> None:
    path, chance, unreadable = folder / "file.safetensors", random.Random(1), 0
    for _ in range(kills):
        process = start([sys.executable, "-c", SAVER, str(path)])
        seen = path.stat().st_mtime_ns if path.exists() else 0
        while not path.exists() or path.stat().st_mtime_ns == seen:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        try:
            tensors = safetensors.torch.load_file(path)
            unreadable += not bool((tensors["weights"] == tensors["number"]).all())
        except (SafetensorError, OSError):
            unreadable += 1
    print(f"{kills} SIGKILLs while saving: {unreadable} files that could not be read")
    if unreadable:
        sys.exit("a file was lost")


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], stderr=subprocess.DEVNULL).returncode:
        sys.exit("a small disk cannot be mounted here; --full is for root on Linux")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> Path:
    """To the last byte; the file that does it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (2**16, 2**12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC, error
    return ballast


def told(run: Run, since: float) -> float:
    """Seconds until it was said that the disk is full."""
    give_up = time.monotonic() + 60
    while not ((status := status_of(run.folder)) and "the disk is full" in status.message):
        assert time.monotonic() < give_up, status
        time.sleep(0.02)
    assert status.state not in LIVING, status
    return time.monotonic() - since


def fill_disk(times: int, folder: Path) -> None:
    steps, chance, said = ("--steps", max(1500, 500 * times)), random.Random(2), []
    assert start(command("train", folder / "roomy", *OPTIONS, *steps)).wait() == 0
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with small_disk(folder / "disk") as disk:
        twin = Run.create(disk / "twin", Run(folder / "roomy").config())
        ballast = fill(disk)
        since = time.monotonic()
        try:
            children.begin(twin.folder, command("resume", twin.folder), environment)
            sys.exit("a training was begun on a full disk")
        except OSError as error:
            assert "the disk is full" in reason(error), error
            said.append(time.monotonic() - since)
        ballast.unlink()
        children.begin(twin.folder, command("resume", twin.folder), environment)
        ballast = fill(disk)
        children.process_of(twin.folder).wait()
        said.append(told(twin, time.monotonic()))
        for _ in range(times):
            ballast.unlink()
            before = len(twin.records())
            children.begin(twin.folder, command("resume", twin.folder), environment)
            while len(twin.records()) <= before and children.process_of(twin.folder).poll() is None:
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 0.5))
            ballast = fill(disk)
            said.append(told(twin, time.monotonic()))
        ballast.unlink()
        assert start(command("resume", twin.folder)).wait() == 0
        found = differences(folder / "roomy", twin.folder)
    print(f"a full disk {len(said)} times: said within {max(said):.2f} s; afterwards "
          f"{'every bit is the same' if not found else 'these differ: ' + ', '.join(found)}")  # fmt: skip
    if found or max(said) > 2:
        sys.exit(f"said after {max(said):.2f} s; different: {found}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--saves", type=int, default=500)
    parser.add_argument("--full", type=int, default=0, help="times that the disk is full while it trains")
    parser.add_argument("--workers", type=int, default=1, help="processes that train together")
    parser.add_argument("--lineup", action="store_true", help="kill a line-up and its workers")
    parser.add_argument("--ray", action="store_true", help="of which Ray trains the members")
    arguments = parser.parse_args()
    if min(arguments.kills, arguments.saves, arguments.full) < 0 or arguments.workers < 1:
        parser.error("--kills, --saves and --full must be at least 0, --workers at least 1")
    if arguments.ray and not arguments.lineup:
        parser.error("--ray trains a line-up; say --lineup, too")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.full:
            fill_disk(arguments.full, Path(folder))
        if arguments.saves:
            kill_saves(arguments.saves, Path(folder))
        if arguments.kills and arguments.lineup:
            kill_lineup(arguments.kills, Path(folder), arguments.ray)
        elif arguments.kills and arguments.workers > 1:
            kill_workers(arguments.kills, Path(folder), arguments.workers)
        elif arguments.kills:
            kill_trainings(arguments.kills, Path(folder))


if __name__ == "__main__":
    main()
