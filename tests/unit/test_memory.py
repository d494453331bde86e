"""Memory of one block is used again for the next, instead of being cleared anew."""

import os
import platform
import subprocess
import sys

import pytest

from her2sr_proc.memory import ENVIRONMENT

FAULTS = """
import resource, sys, threading
import numpy as np
from her2sr_proc.memory import keep_freed_memory

if sys.argv[1] == "threads first":
    # as a library that starts threads while it is imported, each with its own heap
    for _ in range(3):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
if sys.argv[1] != "given back":
    assert keep_freed_memory()
from concurrent.futures import ThreadPoolExecutor

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def touch(_):
    # as the messages of the bus: no array of numpy's, which asks for larger pages
    bytearray(67_000_000)

crews = [ThreadPoolExecutor(1) for _ in range(4)]

def touch_in_turn():
    for crew in crews:
        list(crew.map(touch, range(2)))

touch_in_turn()
begun = faults()
touch_in_turn()
print(faults() - begun)
"""


def said_by(*arguments: str, **variables: str) -> str:
    """Return what a script prints, as a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", *arguments],
        env={**os.environ, **variables},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def faults(word: str, **variables: str) -> int:
    return int(said_by(FAULTS, word, **variables))


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc can be asked to keep memory"
)
def test_a_second_block_takes_the_memory_of_the_first_in_any_thread():
    pages = 8 * 67_000_000 // 4096
    assert faults("given back") > pages // 2
    assert faults("kept") < pages // 4  # what is small may take a corner of one


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc can be asked to keep memory"
)
def test_threads_of_before_do_not_matter_to_a_process_started_with_the_word():
    block_pages = 67_000_000 // 4096
    assert faults("threads first") > 0.9 * block_pages
    assert faults("threads first", **ENVIRONMENT) < 0.1 * block_pages


def test_another_c_library_is_left_as_it_is(monkeypatch):
    from her2sr_proc.memory import keep_freed_memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert keep_freed_memory() is False


TABLES = """
import her2sr_proc.live.__main__
import pyarrow as pa

held = pa.array(range(1_000_000))
print(pa.default_memory_pool().backend_name, pa.total_allocated_bytes())
"""


def test_tables_of_the_localizer_lie_in_the_heap_of_all_else():
    said = said_by(TABLES)
    allocator, held_bytes = said.split()
    assert allocator == "system"
    assert int(held_bytes) >= 8_000_000


GIVEN = """
import os
from her2sr_proc.memory import give_back_freed_memory, keep_freed_memory

def resident():
    with open("/proc/self/statm") as said:
        return int(said.read().split()[1]) * os.sysconf("SC_PAGESIZE")

assert keep_freed_memory()
large = [bytearray(b"x" * 20_000_000) for _ in range(8)]
above = [bytearray(b"y" * 1000) for _ in range(1000)]
del large
before = resident()
give_back_freed_memory()
print(before - resident(), len(above))
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc can be asked to keep memory"
)
def test_kept_memory_below_what_is_in_use_is_given_back_when_asked_for():
    said = said_by(GIVEN)
    assert int(said.split()[0]) > 100_000_000
