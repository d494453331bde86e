"""Libraries that are loaded before libc into real processes, so that its calls fail.

``flock`` of files of a folder, as on a share whose server runs no lock service; the
wall clock, as if somebody set it while processes run.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

LOCKLESS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int flock(int fd, int operation) {
    const char *folder = getenv("LOCKLESS_FOLDER");
    char link[64], path[4096];
    ssize_t length;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (folder && length > 0) {
        path[length] = 0;
        if (!strncmp(path, folder, strlen(folder))) { errno = ENOLCK; return -1; }
    }
    return ((int (*)(int, int))dlsym(RTLD_NEXT, "flock"))(fd, operation);
}
"""
SET_CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift(void) {
    const char *name = getenv("SET_CLOCK_FILE");
    char text[32];
    ssize_t length = -1;
    int fd = name ? open(name, O_RDONLY) : -1;
    if (fd < 0) return 0;
    length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0) return 0;
    text[length] = 0;
    return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))
        dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(clock, now);
    if (!code && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += shift();
    return code;
}

time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}
"""


def compiled(folder: Path, name: str, source: str) -> Path | None:
    """Compile a library into a folder; None without a compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    code, library = folder / f"{name}.c", folder / f"{name}.so"
    code.write_text(source)
    words = [compiler, "-shared", "-fPIC", "-o", str(library), str(code), "-ldl"]
    subprocess.run(words, check=True)
    return library
