"""Pictures of the Watch page, light and dark, as the README shows them.

    python benchmarks/screenshot.py --out .github [--size 1024x768] [--query "?model=brackets"]

Starts the app on a free port and writes watch-light.png and watch-dark.png.
"""

import argparse
from pathlib import Path

from keystroke import CHROMIUM, server
from playwright.sync_api import sync_playwright


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(".github"), help="folder for the two pictures")
    parser.add_argument("--size", default="1440x900", help="of the window, WIDTHxHEIGHT in pixels")
    parser.add_argument("--query", default="", help='what stands behind the address, as "?model=brackets"')
    arguments = parser.parse_args()
    width, height = (int(side) for side in arguments.size.split("x"))
    arguments.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, server() as address:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(f"{address}/{arguments.query}")
            page.wait_for_function("window.__lstmvizPainted", timeout=60_000)
            page.wait_for_timeout(2500)  # the training curves come after the map
            path = arguments.out / f"watch-{scheme}.png"
            page.screenshot(path=path)
            print(path)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
