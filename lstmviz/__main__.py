"""``python -m lstmviz``."""

from lstmviz.cli import main

main()
