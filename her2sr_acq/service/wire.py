"""What cannot be read as HTTP, answered like every other error: as a problem document.

uvicorn refuses such a request, say one whose length is no number, before any route or
middleware is asked, and in plain text.
"""

from __future__ import annotations

from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from her2sr_acq.service.problems import answer
from her2sr_acq.service.security import HEADERS


class ProblemProtocol(H11Protocol):
    """uvicorn's protocol, with problem documents for what is no HTTP."""

    def send_400_response(self, msg: str) -> None:
        """Answer 400 and hang up: where the next request begins is not known."""
        response = answer(
            "bad-http",
            "this is no HTTP that can be read; look at its first line, at "
            "Content-Length and at Transfer-Encoding",
            HTTPStatus.BAD_REQUEST,
        )
        headers = [*response.raw_headers, (b"connection", b"close")]
        headers += [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=bytes(response.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
