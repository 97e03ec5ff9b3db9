"""How it is told that there is no room left on a disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC

from store.errors import StorageFullError


def is_full(error: BaseException) -> bool:
    """Whether this says that there is no room, or none that we may use."""
    return isinstance(error, OSError) and error.errno in {ENOSPC, EDQUOT}


@contextmanager
def full_disk_is_ours() -> Iterator[None]:
    """A StorageFullError where there is no room for what is written inside of it."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise StorageFullError from error
        raise
