"""Runs a module as a child of `papertray up`, and ends it when `up` is gone."""

import os
import runpy
import signal
import sys
import threading
import time

GRACE_SECONDS = 10
"""How long a child may take to end in order after `up` has died."""


def main() -> None:
    """`python -m api.child MODULE ARGUMENT...`, standard input being a pipe that `up` holds."""
    _watch_parent()
    sys.argv = sys.argv[1:]
    # alter_sys: what this module spawns finds the real main module by its name.
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _watch_parent() -> None:
    """End with the process that holds the other end of standard input, however it ends.

    A pipe is closed by the kernel also when its owner is killed, on every system; a signal
    on the parent's death is Linux only, and follows a thread.
    """
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with, args=(pipe,), name="parent", daemon=True).start()


def _end_with(pipe: int) -> None:
    while os.read(pipe, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # with all that it started
    os._exit(1)


if __name__ == "__main__":
    main()
