"""Orders of a former holder of the lease are refused, however late they arrive."""

from __future__ import annotations

from her2sr_acq.errors import LeaseError


class Fence:
    """The largest fence seen since the start. Used by the control thread alone.

    An order without a fence comes from this host's command line, which reaches the
    control socket by its private folder, or from a service without users.
    """

    def __init__(self) -> None:
        self._largest = 0

    def require(self, fence: int | None) -> None:
        """Raise `LeaseError` for an order under a lease that another has followed."""
        if fence is None:
            return
        if fence < self._largest:
            raise LeaseError(
                f"this order came under the lease {fence}, and lease {self._largest} "
                f"has followed it; ask for the lease by POST /lease again"
            )
        self._largest = fence
