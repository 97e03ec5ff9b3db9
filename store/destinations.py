"""Where projects put the files of their tasks: folders and buckets that the operator allows."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import fsspec
from fsspec.implementations.local import LocalFileSystem

from store.errors import AddressError, ExportFailedError
from store.export_names import safe_stem
from store.settings import settings

_ORGANIZATION: Final = "{organization}"

_LOCAL: Final = frozenset({"file", "local"})

_RENAMING: Final = frozenset({"ftp", "hdfs", "sftp", "smb", "ssh", "webhdfs"})
"""File systems on which a file can be seen while it is written, and be renamed afterwards. On all
others, which keep objects, one is there when it is whole."""


class Destination:
    """A folder or bucket to which projects may export.

    Its methods block: call them in a thread.
    """

    def __init__(self, to: str, organization: str):
        """Find it; nothing is reached yet.

        Args:
            to: a folder below the first of the places that the settings allow, or a whole URL
                below any of them.
            organization: name of the one whose project it is; others have other folders.

        Raises:
            AddressError: it is at no place that the settings allow.
        """
        allowed = settings().effective_export_urls
        own = safe_stem(organization)
        bases = {base.replace(_ORGANIZATION, own): base for base in allowed}
        base, self._url = _allowed(to, list(bases))
        self._base = _spelled(base)
        # What of it the operator must have made: all that is the same for everybody.
        shared, mark, _ = bases[base].partition(_ORGANIZATION)
        self._root = _spelled(shared.rpartition("/")[0] if mark else shared)
        self._scheme, _, self._rest = self._url.partition("://")
        self._makes_root = not settings().export_urls  # our own folder in our own home

    def location(self, name: str) -> str:
        """The URL of a file there, without credentials, in small letters."""
        host, _, path = self._rest.partition("/")
        return f"{self._scheme}://{host.rpartition('@')[2]}/{path}/{name}".casefold()

    def has(self, name: str) -> bool:
        """Whether a file of that name is there, whoever put it there.

        Raises:
            ExportFailedError: the place cannot be reached.
        """
        with self._reached() as (files, folder):
            files.invalidate_cache()
            return files.exists(f"{folder}/{name}")

    def put(self, source: Path, name: str, part_name: str) -> None:
        """Put a file there, in the place of one of the same name; it is whole when it is seen.

        Args:
            source: a file of this machine.
            name: what it is called there.
            part_name: what it is called there until it is whole, where there is such a time.

        Raises:
            ExportFailedError: the place cannot be reached, or does not take it.
        """
        with self._reached() as (files, folder):
            if isinstance(files, LocalFileSystem):
                _put_locally(source, Path(folder) / name, Path(folder) / part_name)
            elif self._scheme in _RENAMING:
                files.makedirs(folder, exist_ok=True)
                files.put_file(str(source), f"{folder}/{part_name}")
                if files.exists(f"{folder}/{name}"):
                    files.rm_file(f"{folder}/{name}")  # few of them rename onto what is there
                files.mv(f"{folder}/{part_name}", f"{folder}/{name}")
            else:
                files.put_file(str(source), f"{folder}/{name}")

    @contextmanager
    def _reached(self) -> Iterator[tuple[Any, str]]:
        try:
            found: tuple[Any, str] = fsspec.url_to_fs(self._url)
            if isinstance(found[0], LocalFileSystem):
                self._make_folder(Path(found[1]))
            yield found
        except ExportFailedError:
            raise
        except ImportError as error:
            raise ExportFailedError(
                f"The package for the place of the files is missing where the task runs: {error}.",
                url_scheme=self._scheme,
            ) from None
        except Exception as error:
            # Each file system has errors of its own (botocore's, paramiko's), some of them no
            # OSError. Their messages name the file, and so values: only the kind is told on.
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise ExportFailedError(
                f"The place for the files does not take them: {reason}. Mend it, then try again.",
                reason=reason,
            ) from None

    def _make_folder(self, folder: Path) -> None:
        base = Path(self._base.removeprefix("file://"))
        if not self._makes_root and not Path(self._root.removeprefix("file://")).is_dir():
            # Made by us, it would hide that a network drive is not mounted.
            raise ExportFailedError(
                "The folder for exports is not there. Mount or make it, then try again.",
                setting="PAPERTRAY_EXPORT_URLS",
            )
        folder.mkdir(parents=True, exist_ok=True)
        if not folder.resolve().is_relative_to(base.resolve()):
            raise ExportFailedError(
                "The folder leads out of the folder for exports, by a link. Have the operator add"
                " what it leads to to PAPERTRAY_EXPORT_URLS.",
                setting="PAPERTRAY_EXPORT_URLS",
            )


def _put_locally(source: Path, target: Path, part: Path) -> None:
    try:
        with source.open("rb") as origin, part.open("wb") as copy:
            shutil.copyfileobj(origin, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _allowed(to: str, bases: Sequence[str]) -> tuple[str, str]:
    """The base that allows a place, and the whole URL of the place.

    Raises:
        AddressError: none does, or the place could be read in more than one way.
    """
    # `::` chains file systems in fsspec, one of which could be any.
    strange = "::" in to or any(c in "\\?#%*[]" or not c.isprintable() for c in to)
    is_whole = "://" in to or to.startswith("/")
    steps = to.rstrip("/").partition("://")[2].split("/")[1:] if "://" in to else to.split("/")
    if strange or any(step in {"", ".", ".."} for step in steps[to.startswith("/") :]):
        raise AddressError(
            "This is no place for exports: write a folder, like `invoices/paid`, or a URL, like"
            " `s3://bucket/invoices`, without `..`, `?`, `#`, `%` and `*`."
        )
    wanted = _spelled(to if is_whole else f"{bases[0].rstrip('/')}/{to}")
    for base in bases:
        if wanted == _spelled(base) or wanted.startswith(f"{_spelled(base)}/"):
            return base, wanted
    raise AddressError(
        "Nothing may be exported to there from this server. Name a folder, like `invoices`, or"
        " have the operator add the place to PAPERTRAY_EXPORT_URLS.",
        setting="PAPERTRAY_EXPORT_URLS",
    )


def _spelled(url: str) -> str:
    """A URL or a path as it is compared: one spelling for one place."""
    scheme, mark, path = url.partition("://")
    if not mark:
        scheme, path = "file", url
    scheme = scheme.lower()
    return f"{'file' if scheme in _LOCAL else scheme}://{path.rstrip('/')}"
