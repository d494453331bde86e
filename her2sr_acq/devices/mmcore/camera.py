"""A camera of MMCore that streams a known number of frames and counts them."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from her2sr_acq.config import CameraConfig
from her2sr_acq.devices.mmcore.core import CoreHandle
from her2sr_acq.devices.mmcore.readout import ReadOut, Region
from her2sr_acq.devices.mmcore.speech import speaking_to
from her2sr_acq.devices.ports import Frame, Roi
from her2sr_acq.errors import (
    BufferOverflowError,
    CameraStalledError,
    ConfigError,
    DeviceError,
    DeviceTimeoutError,
    ReadBackError,
)

EXPOSURE = "Exposure"
ELAPSED_MS = "ElapsedTime-ms"
POLL_S = 0.001
JOIN_S = 2.0
"""How long the core waits for the thread of a Python camera before it gives up."""
MIN_FRAMES = 4
MIB = 2**20


class MMCamera:
    """The camera port over MMCore. One thread at a time."""

    def __init__(
        self,
        handle: CoreHandle,
        config: CameraConfig,
        *,
        buffer_mb: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Make it the core's camera and size the ring.

        Raises `DeviceError` when it does not answer, `ConfigError` when its frames are
        not what the configuration says or the ring is too small for them.
        """
        self._handle = handle
        self._config = config
        self._clock = clock
        self._sleep = sleep
        self._frames = 0
        self._delivered = 0
        self._first_stamp = 0.0
        self._first_count: int | None = None
        self._is_started = False
        self._buffer_mb = buffer_mb
        with speaking_to(config.label):
            core = handle.core
            core.setCameraDevice(config.label)
            core.setAutoShutter(False)  # it fails in silence across C++ and Python
        self._region = Region(handle, config)
        self._read_out = ReadOut(handle, config)
        self._expected = self.shape
        self._size_ring(buffer_mb)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a frame, read from the device."""
        return self._region.shape

    def arm(
        self,
        *,
        frames: int,
        exposure_ms: float,
        roi: Roi | None = None,
        readout: str | None = None,
    ) -> None:
        """Set read-out, region and exposure, read them back, clear the ring."""
        label = self._config.label
        low, high = self._config.exposure_ms
        if not low <= exposure_ms <= high:
            raise DeviceError(
                f"{label}: an exposure of {exposure_ms:g} ms is outside its limits of "
                f"{low:g} to {high:g} ms",
                device=label,
            )
        self.disarm()
        self._frames = 0
        # In this order: a mode may change what regions and exposures there are.
        self._read_out.choose(readout)
        if self._region.choose(roi):
            self._size_ring(self._buffer_mb)
        self._expected = self.shape
        with speaking_to(label):
            self._handle.core.setExposure(label, exposure_ms)
            self._handle.core.clearCircularBuffer()
        found_ms = self._exposure_ms()
        if not abs(found_ms - exposure_ms) <= (
            self._config.exposure_tolerance * exposure_ms
        ):
            raise ReadBackError(
                f"{label}: exposure was set to {exposure_ms:g} ms and reads "
                f"{found_ms:g} ms; choose an exposure that the camera can do",
                device=label,
            )
        self._frames = frames
        self._delivered = 0

    def start(self) -> None:
        """Begin the burst that `arm` described, stopping on overflow."""
        if not self._frames:
            raise DeviceError(f"{self._config.label}: arm it before a burst")
        with speaking_to(self._config.label):
            # Without stop-on-overflow the whole ring is cleared when it runs over.
            self._handle.core.startSequenceAcquisition(
                self._config.label, self._frames, 0.0, True
            )
        self._is_started = True

    def next_frame(self, *, timeout_s: float) -> Frame:
        """Return the next frame in order, within ``timeout_s``."""
        label, core = self._config.label, self._handle.core
        if self._delivered >= self._frames:
            raise DeviceError(f"{label}: all {self._frames} frames were delivered")
        deadline = self._clock() + timeout_s
        while True:
            with speaking_to(label):
                # In this order: a camera that stops after its last frame has then
                # left that frame in the ring.
                is_running = core.isSequenceRunning(label)
                has_frame = core.getRemainingImageCount() > 0
                has_overflowed = core.isBufferOverflowed()
            if has_overflowed:
                raise BufferOverflowError(
                    f"{label}: the ring ran over after frame {self._delivered} of "
                    f"{self._frames}; give it more room with 'mmcore.buffer_mb'",
                    device=label,
                )
            if has_frame:
                return self._pop()
            self._still_expected(is_running, deadline, timeout_s)
            self._sleep(POLL_S)

    def disarm(self) -> None:
        """Stop exposing. Safe at any time."""
        if not self._is_started:
            return
        label, core = self._config.label, self._handle.core
        self._is_started = False
        began = self._clock()
        with speaking_to(label):
            core.stopSequenceAcquisition(label)
            gave_up = core.isPyDevice(label) and self._clock() - began >= JOIN_S
            if gave_up or core.isSequenceRunning(label):
                raise DeviceTimeoutError(
                    f"{label}: the camera did not stop within {JOIN_S:g} s; restart "
                    f"the service",
                    device=label,
                )

    def _still_expected(
        self, is_running: bool, deadline: float, timeout_s: float
    ) -> None:
        label = self._config.label
        if not is_running:
            raise CameraStalledError(
                f"{label}: the camera stopped by itself after {self._delivered} of "
                f"{self._frames} frames; see the log of its driver",
                device=label,
            )
        if self._clock() >= deadline:
            raise CameraStalledError(
                f"{label}: no frame came within {timeout_s:g} s, after "
                f"{self._delivered} of {self._frames}",
                device=label,
            )

    def _pop(self) -> Frame:
        label = self._config.label
        with speaking_to(label):
            adu, tags = self._handle.core.popNextImageAndMD(fix=False)
            stamp_s = self._stamp_s(tags)
            count = self._count(tags)
        wanted = self._expected
        if adu.dtype != np.uint16 or adu.shape != wanted:
            raise DeviceError(
                f"{label}: a frame of {adu.shape} {adu.dtype} came, and {wanted} "
                f"uint16 was expected; check pixel type and region of interest",
                device=label,
            )
        index = self._delivered
        if index == 0:
            self._first_stamp = stamp_s
            self._first_count = count
        self._delivered += 1
        if count is not None and self._first_count is not None:
            count -= self._first_count
        return Frame(index, stamp_s - self._first_stamp, adu, count)

    def _count(self, tags: object) -> int | None:
        """Return the camera's own count of exposures, if it gives one."""
        tag = self._config.counter_tag
        return None if tag is None else int(tags[tag])  # type: ignore[index]

    def _stamp_s(self, tags: object) -> float:
        """Return the camera's own clock, or else the core's at the frame's arrival."""
        tag = self._config.stamp_tag
        if tag is None:
            return float(tags[ELAPSED_MS]) / 1000.0  # type: ignore[index]
        return float(tags[tag])  # type: ignore[index]

    def _exposure_ms(self) -> float:
        """Return the exposure; the property is right where the call is stale."""
        label, core = self._config.label, self._handle.core
        with speaking_to(label):
            if core.hasProperty(label, EXPOSURE):
                return float(core.getProperty(label, EXPOSURE))
            return float(core.getExposure(label))

    def _size_ring(self, buffer_mb: int) -> None:
        """Give the ring a whole number of frames.

        The ring of Python cameras counts a rest at its end that no frame fits in as
        an overflow.
        """
        label, core = self._config.label, self._handle.core
        with speaking_to(label):
            frame_bytes = core.getImageBufferSize()
            frames = buffer_mb * MIB // frame_bytes
            size: float = buffer_mb
            if core.isPyDevice(label):
                size = frames * frame_bytes / MIB
            core.setCircularBufferMemoryFootprint(size)  # type: ignore[arg-type]
        if frames < MIN_FRAMES:
            raise ConfigError(
                f"{label}: 'mmcore.buffer_mb' of {buffer_mb} holds {frames} frames, "
                f"and at least {MIN_FRAMES} are needed",
                device=label,
            )
