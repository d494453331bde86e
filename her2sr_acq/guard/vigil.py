"""When silence is too long: a judgement on beats, progress and permits. No sockets."""

from __future__ import annotations

from her2sr_acq.guard.settings import GuardConfig

MAX_STEP_S = 0.25
"""Time in which the guard itself was kept from running is silence of nobody else's."""
START_S = 120.0
"""Acq imports and opens devices before it speaks."""
RELEASE_S = 2.0
"""After an order to go dark was obeyed, the permits must be given back within this."""


class Vigil:
    """What acq has said since it was started."""

    def __init__(self, config: GuardConfig) -> None:
        self._config = config
        self._now = self._awake = 0.0
        self.start(0.0)

    def start(self, now: float) -> None:
        """Begin with an acq that has said nothing and has no light."""
        self.tick(now)
        self.has_spoken = False
        self._beat_at = self._moved_at = self._awake
        self._progress = -1
        self._is_driving = False
        self._permits: dict[int, float] = {}

    def tick(self, now: float) -> None:
        """Let the time be ``now``; call it after everything that came was told."""
        self._awake += min(max(now - self._now, 0.0), MAX_STEP_S)
        self._now = now

    @property
    def lit_nm(self) -> tuple[int, ...]:
        """The lines with a permit."""
        return tuple(sorted(self._permits))

    def beat(self, progress: int, *, is_driving: bool = False) -> None:
        """Take note of a sign of life, and whether the engine drives devices."""
        self.has_spoken = True
        self._beat_at = self._awake
        begins = is_driving and not self._is_driving
        self._is_driving = is_driving
        if progress != self._progress or begins:
            self._progress = progress
            self._moved_at = self._awake

    def permit(self, nm: int, seconds: float) -> None:
        """Take note of light on one line; the engine has asked, so it moves."""
        self._permits[nm] = self._now + seconds
        self._beat_at = self._moved_at = self._awake

    def release(self) -> bool:
        """Take note of darkness; return whether there was light before."""
        had = bool(self._permits)
        self._permits.clear()
        return had

    def cut_short(self) -> None:
        """Let every permit end soon: its light is out already."""
        end = self._now + RELEASE_S
        self._permits = {nm: min(end, was) for nm, was in self._permits.items()}

    def verdict(self) -> str:
        """Return why acq is no longer trusted with light; empty: it is."""
        silent_s = self._awake - self._beat_at
        stuck_s = self._awake - self._moved_at
        if not self._permits:
            if silent_s > (self._config.dark_silence_s if self.has_spoken else START_S):
                return f"acq has said nothing for {silent_s:.1f} s"
            if self._is_driving and stuck_s > self._config.dark_progress_s:
                return f"the engine has not moved for {stuck_s:.1f} s in a run"
            return ""
        if silent_s > self._config.silence_s:
            return f"acq has said nothing for {silent_s:.2f} s with the light on"
        if stuck_s > self._config.progress_s:
            return f"the engine has not moved for {stuck_s:.2f} s with the light on"
        late = [nm for nm, end in self._permits.items() if self._now > end]
        if late:
            return f"the light of {late[0]} nm is on for longer than it was permitted"
        return ""
