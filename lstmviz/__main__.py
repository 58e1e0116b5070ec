"""``python -m lstmviz``."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in app.py

from lstmviz.cli import main

main()
