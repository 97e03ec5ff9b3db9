"""Every error Papertray reports, as one tree.

PapertrayError                 500  internal
  InputError                   422  input_rejected
    EmptyFileError             422  file_empty
    UnsupportedFileError       422  file_type_unsupported
    DamagedFileError           422  file_damaged
    EncryptedFileError         422  file_encrypted
    SignedFileError            422  file_signed
    NoPagesError               422  file_has_no_pages
    LimitExceededError         422  limit_exceeded
    FileTooLargeError          413  file_too_large
    PageRangeError             422  page_out_of_range
    ProjectFileError           422  project_file_invalid
    FieldsInvalidError         422  fields_invalid
    KeyReusedError             422  idempotency_key_reused
    AddressError               422  address_not_allowed
  UnauthenticatedError         401  unauthenticated
  ForbiddenError               403  forbidden
  NotFoundError                404  not_found
  ConflictError                409  conflict
    IllegalTransitionError     409  illegal_transition
    AlreadyDecidedError        409  already_decided
    AlreadyClaimedError        409  already_claimed
    NotClaimedError            409  not_claimed
    RequestUnderWayError       409  request_under_way
    DuplicateFileError         409  file_duplicate
  RateLimitedError             429  rate_limited
  ToolError                    500  tool_failed
    ToolMissingError           500  tool_missing
    ToolTimeoutError           500  tool_timeout
    ToolKilledError            500  tool_killed
  UnavailableError             503  unavailable
    DatabaseAwayError          503  database_away
    PrefectUnreachableError    503  prefect_unreachable
    ExportFailedError          503  export_failed
    StorageAwayError           503  storage_away
    StorageFullError           507  storage_full
"""

from typing import Any, ClassVar


class PapertrayError(Exception):
    """Something went wrong inside Papertray. The log of the process has the details."""

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 70  # EX_SOFTWARE of sysexits.h, and so on below
    retryable: ClassVar[bool] = False

    def __init__(self, message: str | None = None, **details: Any):
        """Make an error.

        Args:
            message: what happened and what to do; the docstring of the class when omitted.
            details: facts for the caller, JSON values only, never text of a document.
        """
        self.message = message or (type(self).__doc__ or self.code).strip()
        self.details = details
        super().__init__(self.message)

    def __reduce__(self):
        """Survive the trip out of a child process with message and details."""
        return (_rebuild, (type(self), self.message, self.details))

    def as_result(self) -> dict[str, Any]:
        """The `result` of a task that failed with this error."""
        return {"error": self.message, "details": {"code": self.code, **self.details}}


def _rebuild(kind: type[PapertrayError], message: str, details: dict[str, Any]) -> PapertrayError:
    return kind(message, **details)


class InputError(PapertrayError):
    """The input was not accepted. Correct it and send it again."""

    code = "input_rejected"
    http_status = 422
    exit_code = 65


class EmptyFileError(InputError):
    """The file is empty. Send a file with content."""

    code = "file_empty"


class UnsupportedFileError(InputError):
    """The file is of no type that can be read. Send a PDF, TIFF, PNG, JPEG or WebP file."""

    code = "file_type_unsupported"


class DamagedFileError(InputError):
    """The file is damaged and cannot be opened. Make it anew at its source and send it again."""

    code = "file_damaged"


class EncryptedFileError(InputError):
    """The file needs a password. Send a copy without, or `password` where an operation has it."""

    code = "file_encrypted"


class SignedFileError(InputError):
    """The file is digitally signed. Set `invalidate_signatures`, or leave it as it is."""

    code = "file_signed"


class NoPagesError(InputError):
    """The file has no pages. Send a file with at least one."""

    code = "file_has_no_pages"


class LimitExceededError(InputError):
    """The file is beyond a limit of this server. Send a smaller one, or raise the limit."""

    code = "limit_exceeded"


class FileTooLargeError(InputError):
    """The file is larger than this server takes. Send a smaller one, or raise the limit."""

    code = "file_too_large"
    http_status = 413


class PageRangeError(InputError):
    """The page range does not fit the document. Page numbers start at 1."""

    code = "page_out_of_range"


class ProjectFileError(InputError):
    """The project file is not valid. The details say where and what would be right."""

    code = "project_file_invalid"


class FieldsInvalidError(InputError):
    """Some field values are not valid. The details have the reason for each field."""

    code = "fields_invalid"


class KeyReusedError(InputError):
    """The Idempotency-Key was used for another request. Take a new one for each request."""

    code = "idempotency_key_reused"


class AddressError(InputError):
    """The address may not be reached from here. Use a public http or https address."""

    code = "address_not_allowed"


class UnauthenticatedError(PapertrayError):
    """The key is missing or not valid. Send a valid one; `papertray key create` makes them."""

    code = "unauthenticated"
    http_status = 401
    exit_code = 77


class ForbiddenError(PapertrayError):
    """The key does not allow this. Use a key with the scope that the details name."""

    code = "forbidden"
    http_status = 403
    exit_code = 77


class NotFoundError(PapertrayError):
    """There is nothing with that id or name, or the caller may not see it."""

    code = "not_found"
    http_status = 404
    exit_code = 66


class ConflictError(PapertrayError):
    """Somebody else changed it first. Read it again and decide anew."""

    code = "conflict"
    http_status = 409
    exit_code = 75


class IllegalTransitionError(ConflictError):
    """The task is in a state in which this cannot be done."""

    code = "illegal_transition"


class AlreadyDecidedError(ConflictError):
    """The review was decided already. Read the task again."""

    code = "already_decided"


class AlreadyClaimedError(ConflictError):
    """Somebody else has claimed the task. Wait until it is released."""

    code = "already_claimed"


class NotClaimedError(ConflictError):
    """The caller has not claimed the task. Claim it first."""

    code = "not_claimed"


class RequestUnderWayError(ConflictError):
    """The request with this Idempotency-Key is still being answered. Send it again later."""

    code = "request_under_way"


class DuplicateFileError(ConflictError):
    """A task has a file with the very same bytes, and the project takes no second one."""

    code = "file_duplicate"


class RateLimitedError(PapertrayError):
    """More was asked for than this server lets through. Send again after `Retry-After`."""

    code = "rate_limited"
    http_status = 429
    exit_code = 75
    retryable = True


class ToolError(PapertrayError):
    """An external program failed on this file."""

    code = "tool_failed"


class ToolMissingError(ToolError):
    """An external program is not installed. `papertray doctor` says how to install it."""

    code = "tool_missing"
    exit_code = 69


class ToolTimeoutError(ToolError):
    """The work on this file took longer than allowed. Send a simpler one, or raise the limit."""

    code = "tool_timeout"


class ToolKilledError(ToolError):
    """The work on this file was stopped at a limit. Send a simpler one, or raise the limit."""

    code = "tool_killed"


class UnavailableError(PapertrayError):
    """Something that is needed does not answer now. Try again later."""

    code = "unavailable"
    http_status = 503
    exit_code = 69
    retryable = True


class DatabaseAwayError(UnavailableError):
    """The database does not answer, or is locked. `papertray doctor` says which one was tried."""

    code = "database_away"


class PrefectUnreachableError(UnavailableError):
    """The Prefect server does not answer. `papertray doctor` says which address was tried."""

    code = "prefect_unreachable"


class ExportFailedError(UnavailableError):
    """The files did not get to where they are wanted. Mend the place, then try again."""

    code = "export_failed"


class StorageAwayError(UnavailableError):
    """The storage refuses what is asked of it. `papertray doctor` tries it and says why."""

    code = "storage_away"


class StorageFullError(UnavailableError):
    """There is no room left in the storage. Free some and try again."""

    code = "storage_full"
    http_status = 507
