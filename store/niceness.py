"""Who goes first where processors are short."""

import os
import time
from contextlib import suppress
from pathlib import Path


def stands_back() -> bool:
    """Whether others go before this process, where it is short of something they need, too."""
    return os.getpriority(os.PRIO_PROCESS, 0) > 0


def stand_back(by: int, process_id: int = 0) -> None:
    """Let others of this machine go before a process, and before what it will start.

    Linux compares niceness within a session only, where it shares the processors out by session
    (autogroup, sched(7)): there the session has a niceness of its own, which is set, too. A
    process that makes a session later has to do this anew.

    Args:
        by: how much nicer it is to be than it is (nice(2)).
        process_id: the first process of a session; 0 is this one.

    Raises:
        ProcessLookupError: it has ended.
    """
    niceness = os.getpriority(os.PRIO_PROCESS, process_id) + by
    os.setpriority(os.PRIO_PROCESS, process_id, niceness)  # which takes what is too nice for 19
    niceness = os.getpriority(os.PRIO_PROCESS, process_id)
    session = Path("/proc", str(process_id or "self"), "autogroup")
    with suppress(OSError):  # other systems, and Linux without it
        try:
            session.write_text(str(niceness))
        except BlockingIOError:  # all users together may do it ten times a second
            time.sleep(0.1)
            session.write_text(str(niceness))
