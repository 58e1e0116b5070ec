"""``python -m lstmviz``: the app, which waits for nothing that trains, or another command."""

import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in app.py


def app(*arguments: str) -> None:
    """Show the app in the browser until you stop it; what follows is for Streamlit, such as --server.port 8502.

    Its runs/ and corpora/ lie where you stand, or in LSTMVIZ_HOME.
    """
    from lstmviz.disk import in_a_sentence

    with in_a_sentence():
        try:
            from lstmviz.ui.server import serve
        except ImportError as error:
            raise ValueError(
                f"the app is shown by Streamlit, which is not here ({error}): pip install streamlit, or, in a clone of "
                'lstmviz, pip install ".[app]"'
            ) from error
        serve([*arguments])


def main() -> None:
    """What the command line says."""
    if sys.argv[1:2] == ["app"]:
        return app(*sys.argv[2:])  # as they are: which options there are, Streamlit knows
    from lstmviz import cli

    cli.main()


if __name__ == "__main__":
    main()
