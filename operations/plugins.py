"""Operations of other packages, which announce themselves by an entry point."""

from importlib.metadata import entry_points
from typing import Final

GROUP: Final = "papertray.operations"
"""Each entry point of the group names a module, or an operation in one."""


def load_plugins() -> None:
    """Import what is announced: declaring an operation puts it into OPERATIONS.

    Raises:
        RuntimeError: one cannot be imported. Without it tasks that need it would fail one by one.
    """
    for point in entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:
            package = point.dist.name if point.dist else "a package without a name"
            raise RuntimeError(
                f"The operations of {package} cannot be loaded ({point.value}). Mend the package"
                " or uninstall it."
            ) from error
