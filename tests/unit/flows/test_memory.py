import os
import platform
import subprocess
import sys

import pytest

THREADS = """
import ctypes, re, sys, tempfile, threading
from flows.memory import few_arenas
if sys.argv[1] == "few":
    few_arenas()
c = ctypes.CDLL(None)
c.malloc.restype = c.fopen.restype = ctypes.c_void_p
c.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
c.fclose.argtypes = [ctypes.c_void_p]
together = threading.Barrier(8)
def take():
    together.wait()
    c.malloc(ctypes.c_size_t(10_000))
    together.wait()
threads = [threading.Thread(target=take) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with tempfile.NamedTemporaryFile() as told:
    file = c.fopen(told.name.encode(), b"w")
    c.malloc_info(0, file)
    c.fclose(file)
    print(len(re.findall(rb"<heap nr=", told.read())))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has such pools")
@pytest.mark.parametrize(
    ("how", "environment", "expected"),
    [("few", {}, {2}), ("few", {"MALLOC_ARENA_MAX": "5"}, {5}), ("many", {}, range(3, 17))],
)
def test_threads_share_few_pools_of_memory(
    how: str, environment: dict[str, str], expected: "set[int] | range"
):
    inherited = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    done = subprocess.run(
        [sys.executable, "-c", THREADS, how],
        env=inherited | environment,
        capture_output=True,
        check=True,
    )
    assert int(done.stdout) in expected
