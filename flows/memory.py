"""How a process that runs for months is kept from growing."""

import ctypes
import os
from typing import Any, Final

_M_ARENA_MAX: Final = -8
"""Of malloc.h (mallopt(3))."""

MOST_ARENAS: Final = 2


def few_arenas() -> None:
    """Have the C library keep the memory of all threads in few pools; called before they start.

    By default glibc has eight pools a core, and what a thread frees serves only those of its pool:
    a Prefect server of 220 MB held 125 MB that nobody used. An operator who sets
    `MALLOC_ARENA_MAX` is left alone; where the C library has no such pools, nothing happens.
    """
    library: Any = ctypes.CDLL(None)
    if "MALLOC_ARENA_MAX" not in os.environ and hasattr(library, "mallopt"):
        library.mallopt(_M_ARENA_MAX, MOST_ARENAS)
