"""How large the pages to keep are (`lstmviz.live_page`), of each shipped model, and of several side by side.

    python benchmarks/pages.py [--out FOLDER]

Prints the size of the weights, of the page, and what of it is more than 4/3 of the weights, in kB; or why there is no
page. With --out the pages are kept.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from lstmviz.checkpoint import Checkpoint, load
from lstmviz.home import SHIPPED
from lstmviz.page import live_page

SIDE_BY_SIDE = ("lineups/recall/lstm", "lineups/recall/gru", "lineups/recall/rnn", "lineups/recall/report_split")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for the pages")
    arguments = parser.parse_args()
    folder = SHIPPED / "checkpoints"
    paths = [path for path in sorted(folder.rglob("*.safetensors")) if "recorded" not in path.parts]
    names = [str(path.relative_to(folder).with_suffix("")) for path in paths]
    lines = [(name,) for name in names if not name.startswith("lineups")] + [(name,) for name in SIDE_BY_SIDE[:1]]
    print(f"{'model':<44}{'weights':>9}{'page':>9}{'rest':>7}  kB")
    for each in [*lines, SIDE_BY_SIDE[:2], SIDE_BY_SIDE]:
        models = {name: load(folder / f"{name}.safetensors") for name in each}
        print(
            f"{' '.join(name.removeprefix('lineups/') for name in each):<44}{said(models, arguments.out)}", flush=True
        )


def said(models: dict[str, Checkpoint], out: Path | None) -> str:
    """The sizes of a page, or why there is none."""
    try:
        page = live_page(models).encode()
    except ValueError as error:
        return f"  {error}"
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{'+'.join(models).replace('/', '-')}.html").write_bytes(page)
    weights = sum(weight.nbytes for each in models.values() for weight in each.weights.values())
    return f"{weights / 1e3:>9,.0f}{len(page) / 1e3:>9,.0f}{(len(page) - 4 / 3 * weights) / 1e3:>7,.0f}"


if __name__ == "__main__":
    main()
