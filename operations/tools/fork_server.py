"""The process from which children are forked: one thread, all that is heavy loaded already.

A worker talks to its server over one Unix socket. For each child it sends two sockets: on the
`job` socket the child reads what to do and answers; on the `status` socket the server tells how
the child ended, and takes its closing as the order to end the child and all of its programs.
The server ends with its worker, however that ends, and the children end with the server.
"""

import ctypes
import fcntl
import gc
import importlib
import os
import pkgutil
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from operations import tools
from operations.tools.job import STATUS, do_job
from store.niceness import stand_back

NICENESS = 3
"""By how much the work on files stands back behind servers and workers of the same machine."""

PRELOADED = (
    *(f"operations.tools.{name}" for _, name, _ in pkgutil.iter_modules(tools.__path__)),
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "PIL.PpmImagePlugin",
    "PIL.TiffImagePlugin",
    "PIL.WebPImagePlugin",
    "cv2",
    "pikepdf",
    "puremagic",
    "pypdfium2",
    "pytesseract",
    "regex",
    "store.project_file",
)
"""What children would import otherwise, each anew. Nothing of Prefect."""

_FIRST_KEPT = 1000
"""Above every descriptor the server has open: one for each child, and a few."""

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_CLONE_NEWUSER = 0x10000000  # linux/sched.h, as the next
_CLONE_NEWNET = 0x40000000


class _Server:
    def __init__(self, control: socket.socket):
        self.control = control
        # Only the server keeps the second end: when it ends, the children read the end of file.
        self.lifeline = os.pipe()
        self.selector = selectors.DefaultSelector()
        self.children: dict[int, socket.socket] = {}

    def serve(self) -> None:
        self.selector.register(self.control, selectors.EVENT_READ, self.start_child)
        waker = wake_on_child_end()
        self.selector.register(waker, selectors.EVENT_READ, lambda: self.reap(waker))
        while True:
            for key, _ in self.selector.select():
                react: Callable[[], bool | None] = key.data
                if react() is False:
                    return

    def start_child(self) -> bool:
        """Fork a child for the next job; False when the worker has ended."""
        try:
            message, descriptors, _, _ = socket.recv_fds(self.control, 1, 2)
        except ConnectionError:
            return False
        if not message:
            return False
        job, status = (socket.socket(fileno=descriptor) for descriptor in descriptors)
        process_id = os.fork()
        if process_id == 0:
            become_child(job, self.lifeline[0])
        job.close()
        self.children[process_id] = status
        self.selector.register(status, selectors.EVENT_READ, lambda: self.end_child(process_id))
        return True

    def end_child(self, process_id: int) -> None:
        """The worker does not wait for this child any more."""
        if process_id not in self.children:
            return  # reaped in the same round of the selector, which had this to say already
        self.selector.unregister(self.children[process_id])
        try:
            os.killpg(process_id, signal.SIGKILL)
        except ProcessLookupError:
            # Forked so recently that it has no group of its own yet. It is not reaped yet.
            os.kill(process_id, signal.SIGKILL)

    def reap(self, waker: socket.socket) -> None:
        """Tell how children ended, and end what they left running."""
        waker.recv(4096)
        while True:
            try:
                process_id, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if process_id == 0:
                return
            connection = self.children.pop(process_id, None)
            if connection is None:
                continue  # a program that a child had started and left
            with suppress(ProcessLookupError):
                os.killpg(process_id, signal.SIGKILL)
            with suppress(KeyError):
                self.selector.unregister(connection)
            with suppress(OSError):
                connection.sendall(STATUS.pack(status))
            connection.close()

    def end(self) -> None:
        """End all children; those that have no group yet end by themselves, by the lifeline."""
        for process_id in self.children:
            with suppress(ProcessLookupError):
                os.killpg(process_id, signal.SIGKILL)


def wake_on_child_end() -> socket.socket:
    """A socket that has something to read whenever a child has ended."""
    waker, alarm = socket.socketpair()
    alarm.settimeout(0)
    signal.signal(signal.SIGCHLD, _ignore)  # any handler of Python's makes it fill the socket
    signal.set_wakeup_fd(alarm.detach(), warn_on_full_buffer=False)
    return waker


def _ignore(number: int, frame: FrameType | None) -> None:
    del number, frame


def become_child(job: socket.socket, lifeline: int) -> NoReturn:
    """Be the child: a group of its own, nothing of the server's open, one job, the end."""
    try:
        os.setpgid(0, 0)  # no session: those of one server stand back together
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        kept = [fcntl.fcntl(fd, fcntl.F_DUPFD, _FIRST_KEPT) for fd in (job.detach(), lifeline)]
        os.closerange(3, _FIRST_KEPT)
        os.closerange(max(kept) + 1, os.sysconf("SC_OPEN_MAX"))
        threading.Thread(target=_die_with_the_server, args=(kept[1],), daemon=True).start()
        do_job(socket.socket(fileno=kept[0]))
    finally:
        # Never back into the loop of the server, and no clean-up of what is the server's.
        os._exit(0)


def _die_with_the_server(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)


def leave_the_network() -> bool:
    """Go where no network is, with all who are forked from here; answers whether that was allowed.

    A document that takes over who reads it then reaches no other machine, nor a server of this
    one. Root may do it where it has CAP_SYS_ADMIN, others where the system lets them have user
    namespaces (unshare(2), user_namespaces(7)); elsewhere everything works with the network.
    """
    if sys.platform != "linux":
        return False
    user, group = os.getuid(), os.getgid()
    unshare = ctypes.CDLL(None).unshare
    if unshare(_CLONE_NEWNET) == 0:
        return True
    if unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    maps = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
    for name, content in maps.items():
        with suppress(OSError):  # then its own number looks strange to it, and no more
            Path("/proc/self", name).write_text(content)
    return True


def main(control_descriptor: int) -> None:
    """Serve until the worker ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which ends us
    leave_the_network()  # while there is one thread: user namespaces are for such alone
    if sys.platform == "linux":
        # Programs that outlive their child come to us to be reaped: nobody else may do it where
        # the worker is the first process of a container.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # Who waits for an answer goes before pages that are read, where both want the processor.
    stand_back(NICENESS)
    # Before numpy is loaded: threads that it started here would be missing in the children.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # keeps the memory shared: the collector would write to each object
    server = _Server(socket.socket(fileno=control_descriptor))
    try:
        server.serve()
    finally:
        server.end()
