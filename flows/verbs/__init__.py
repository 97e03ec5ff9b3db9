"""What can be done with a task, once: every surface, page, command and form ends here.

Each verb is one write transaction. A surface translates its words into these and back.
"""

from flows.verbs.claims import (
    assign,
    claim,
    holder,
    must_hold_review,
    next_task,
    release,
    start_review,
)
from flows.verbs.collaboration import Collaborator, change_task, collaborations_of
from flows.verbs.decide import ARRANGE, Arranged, arrange, complete, discard
from flows.verbs.ends import (
    Reported,
    begin_again,
    cancel,
    end_task,
    fail_review,
    report,
    retry,
    unlock,
)
from flows.verbs.exports import (
    Offer,
    cancel_export,
    complete_export,
    fail_export,
    return_export,
    start_export,
)
from flows.verbs.files import (
    MAX_NAME_CHARACTERS,
    delete_file,
    file_members,
    remember_file,
    replace_bytes,
    safe_name,
    store_bytes,
    take_file,
)
from flows.verbs.judging import MAX_COMMENT_CHARACTERS, audit, comment
from flows.verbs.projects import delete_project, install_project, must_not_exceed, must_take
from flows.verbs.queues import MAX_TITLE_CHARACTERS, change_queue, create_queue
from flows.verbs.submit import PROCESS, UNSEEN, submit_operation, submit_process, submit_rows
from flows.verbs.uploads import (
    MAX_FILE_BYTES,
    MAX_PAGE_BYTES,
    MOST_FILES,
    create_folder,
    delete_folder,
    move_upload,
    must_fit_upload,
    submit_upload,
    unlock_in_upload,
)
from flows.verbs.values import by_field_key, field_key, save

__all__ = [
    "ARRANGE",
    "MAX_COMMENT_CHARACTERS",
    "MAX_FILE_BYTES",
    "MAX_NAME_CHARACTERS",
    "MAX_PAGE_BYTES",
    "MAX_TITLE_CHARACTERS",
    "MOST_FILES",
    "PROCESS",
    "UNSEEN",
    "Arranged",
    "Collaborator",
    "Offer",
    "Reported",
    "arrange",
    "assign",
    "audit",
    "begin_again",
    "by_field_key",
    "cancel",
    "cancel_export",
    "change_queue",
    "change_task",
    "claim",
    "collaborations_of",
    "comment",
    "complete",
    "complete_export",
    "create_folder",
    "create_queue",
    "delete_file",
    "delete_folder",
    "delete_project",
    "discard",
    "end_task",
    "fail_export",
    "fail_review",
    "field_key",
    "file_members",
    "holder",
    "install_project",
    "move_upload",
    "must_fit_upload",
    "must_hold_review",
    "must_not_exceed",
    "must_take",
    "next_task",
    "release",
    "remember_file",
    "replace_bytes",
    "report",
    "retry",
    "return_export",
    "safe_name",
    "save",
    "start_export",
    "start_review",
    "store_bytes",
    "submit_operation",
    "submit_process",
    "submit_rows",
    "submit_upload",
    "take_file",
    "unlock",
    "unlock_in_upload",
]
