"""What an operating system says of a disk, as errors of ours."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from store.errors import StorageAwayError, StorageFullError, UnavailableError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

_AWAY: Final = frozenset(
    {
        *(errno.EIO, errno.EROFS, errno.ENODEV, errno.ENXIO, errno.ESTALE),  # a disk that breaks
        *(errno.EACCES, errno.EPERM),  # a folder that belongs to somebody else
        *(errno.EMFILE, errno.ENFILE),  # too many open files
    }
)
"""What may be over in a while, or once somebody has mended it."""


def is_full(error: BaseException) -> bool:
    """Whether this says that there is no room, or none that we may use."""
    return isinstance(error, OSError) and error.errno in _FULL


def disk_error_of(error: OSError) -> UnavailableError | None:
    """The error of ours for what a disk refuses; None for what is none of a disk."""
    if is_full(error):
        return StorageFullError()
    if error.errno in _AWAY:
        # The text of the error names the file.
        return StorageAwayError(reason=errno.errorcode[error.errno])
    return None


@contextmanager
def disk_errors_are_ours() -> Iterator[None]:
    """Raise what a disk refuses inside as StorageFullError or StorageAwayError."""
    try:
        yield
    except OSError as error:
        if (ours := disk_error_of(error)) is None:
            raise
        raise ours from error
