"""A library that makes fsync of files of one name fail while a marker file is there.

Loaded before libc into real processes (LD_PRELOAD), so that SQLite's own calls fail as
they would on a disk that has an error.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int fd) {
    const char *marker = getenv("FAILING_FSYNC_MARKER");
    const char *name = getenv("FAILING_FSYNC_NAME");
    char link[64], path[4096];
    ssize_t length;
    if (!marker || !name || access(marker, F_OK)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, name) != NULL;
}

int fsync(int fd) {
    if (fails(fd)) { errno = EIO; return -1; }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

int fdatasync(int fd) {
    if (fails(fd)) { errno = EIO; return -1; }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
"""


@dataclass(frozen=True)
class FailingFsync:
    """The library, and the marker that switches it on."""

    library: Path
    marker: Path
    name: str

    def environment(self) -> dict[str, str]:
        """Return what a process needs in its environment to be struck."""
        return {
            "LD_PRELOAD": str(self.library),
            "FAILING_FSYNC_MARKER": str(self.marker),
            "FAILING_FSYNC_NAME": self.name,
        }


def failing_fsync(folder: Path, name: str) -> FailingFsync | None:
    """Compile the library into a folder; None without a compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    source, library = folder / "failing.c", folder / "failing.so"
    source.write_text(SOURCE)
    words = [compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    subprocess.run(words, check=True)
    return FailingFsync(library, folder / "fsync-fails", name)
