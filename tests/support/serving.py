"""Run a server of the standard library on a thread for as long as a test needs it."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

POLL_S = 0.02


@contextmanager
def serving(server: socketserver.BaseServer, ended: threading.Event) -> Iterator[None]:
    """Serve meanwhile; ``ended`` is set first, so that handlers that wait go home."""
    thread = threading.Thread(target=server.serve_forever, args=(POLL_S,))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        server.shutdown()
        thread.join()
