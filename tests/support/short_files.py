"""A disk without room, for one call: no file of this process may grow further."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def short_files(limit_bytes: int) -> Iterator[None]:
    """Let no file grow beyond a limit.

    Only around the call that is tested: the test run's own output may go to a file.
    """
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
        signal.signal(signal.SIGXFSZ, before)
