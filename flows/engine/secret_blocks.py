"""Secret blocks of Prefect: values that a run is given by name, and loads itself."""

from urllib.parse import quote

from flows.engine.client import call
from store.errors import InputError, NotFoundError


async def secret_in(block: str) -> str:
    """The text in a Secret block of Prefect, which no parameter or log of a run has.

    Args:
        block: its name.

    Raises:
        NotFoundError: there is none of that name.
        InputError: what is in it is no text.
    """
    path = f"/block_types/slug/secret/block_documents/name/{quote(block, safe='')}"
    try:
        found = await call("GET", path, include_secrets=True)
    except NotFoundError as error:
        raise NotFoundError(
            "Prefect has no Secret block of that name. Make one under Blocks, and start a new run.",
            block=block,
        ) from error
    value = found["data"].get("value")
    if not isinstance(value, str):
        raise InputError("The Secret block has no text in it. Make it anew.", block=block)
    return value
