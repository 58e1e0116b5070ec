"""Pictures of the Watch and the Compare page, light and dark, as the README shows them.

    python benchmarks/screenshot.py [--out .github] [--size 1440x900]

Starts the app on a free port and writes watch-light.png, watch-dark.png, compare-light.png and compare-dark.png.
"""

import argparse
import re
from itertools import product
from pathlib import Path

from keystroke import CHROMIUM
from playwright.sync_api import sync_playwright
from serving import server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(".github"), help="folder for the pictures")
    parser.add_argument("--size", default="1440x900", help="of the window, WIDTHxHEIGHT in pixels")
    arguments = parser.parse_args()
    if not (size := re.fullmatch(r"([1-9]\d{2,4})x([1-9]\d{2,4})", arguments.size)):
        parser.error(f"--size is {arguments.size!r}; it must be WIDTHxHEIGHT in pixels, as 1440x900")
    width, height = (int(side) for side in size.groups())
    arguments.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, server() as (address, _):
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        for name, scheme in product(("watch", "compare"), ("light", "dark")):
            size = {"width": width, "height": height + (300 if name == "compare" else 0)}  # it has a table on top
            page = browser.new_page(viewport=size, color_scheme=scheme, bypass_csp=True)
            page.goto(f"{address}/{name if name == 'compare' else ''}")  # Watch is the first page
            page.wait_for_function("window.__lstmvizPainted", timeout=60_000)
            page.wait_for_timeout(2500)  # the training curves come after the map
            path = arguments.out / f"{name}-{scheme}.png"
            page.screenshot(path=path)
            print(path)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
