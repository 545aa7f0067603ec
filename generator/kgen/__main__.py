"""The program ``kgen``, also as ``python -m kgen``."""

import signal


def entry() -> None:
    """Run the command line. Ctrl-C while it is imported ends the program at once: there is nothing to undo yet."""
    ours = signal.getsignal(signal.SIGINT)  # what runs in the background of a shell ignores it
    if ours is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from kgen.cli import main

    signal.signal(signal.SIGINT, ours)
    main.entry()


if __name__ == "__main__":
    entry()
