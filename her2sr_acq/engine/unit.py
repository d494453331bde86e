"""One unit: array, burst, drain, read back, verdict. Runs on the engine's thread."""

from __future__ import annotations

from dataclasses import dataclass, field

from her2sr_acq.devices.ports import Frame
from her2sr_acq.engine import gaps
from her2sr_acq.engine.activation import Activation, Means
from her2sr_acq.engine.enquiry import Enquiry
from her2sr_acq.engine.evidence import LightProof
from her2sr_acq.engine.focusing import Focuser
from her2sr_acq.engine.outcome import Outcome
from her2sr_acq.engine.stacks import StackTaker
from her2sr_acq.engine.station import Station
from her2sr_acq.engine.tracker import Tracker
from her2sr_acq.engine.verification import Taps, verdict
from her2sr_acq.engine.witness import Witness
from her2sr_acq.errors import AcqError, CameraStalledError, StorageError
from her2sr_acq.plan.estimate import wall_exposure_ms
from her2sr_acq.plan.models import Channel, Protocol
from her2sr_acq.stream.blocks import Assembler, BlockPool
from her2sr_acq.stream.sink import Destination, Sink
from her2sr_proc.schema.block import UnitKey, block_length
from her2sr_proc.schema.ledger import (
    ActivationStep,
    BlockRecord,
    Gap,
    StackRecord,
    UnitRecord,
)
from her2sr_proc.schema.manifest import FieldFacts
from her2sr_proc.store import raw

BUFFERS = 6
"""Blocks in memory: one being filled, one being written, the rest for a slow moment."""
BUFFER_WAIT_S = 5.0
DRAIN_S = 60.0
REARM_SHARE = 0.02
"""A field of which more was exposed is never begun again by itself."""


def raw_shape(channel: Channel, station: Station) -> raw.RawShape:
    """Return the size of a unit's array; a block is about a second of wall clock."""
    camera = station.config.camera
    frames = block_length(
        frames=channel.frames,
        height=camera.height,
        width=camera.width,
        exposure_ms=wall_exposure_ms(channel.exposure_ms, station.config),
    )
    return raw.RawShape(channel.frames, camera.height, camera.width, frames)


def make_pool(channels: tuple[Channel, ...], station: Station) -> BlockPool:
    """Return the buffers of a run, large enough for the largest of its blocks."""
    shapes = [raw_shape(channel, station) for channel in channels]
    pixels = max(shape.block_frames * shape.height * shape.width for shape in shapes)
    return BlockPool(buffers=BUFFERS, pixels=pixels)


@dataclass(slots=True)
class Beside:
    """What one unit has besides its frames."""

    stack: StackRecord | None = None
    activation: list[ActivationStep] = field(default_factory=list)
    fault: AcqError | None = None
    """What went wrong around the burst, which may be whole all the same."""


class UnitTaker:
    """Takes units of one run."""

    def __init__(
        self,
        station: Station,
        tracker: Tracker,
        focuser: Focuser,
        sink: Sink,
        pool: BlockPool,
        enquiry: Enquiry,
    ) -> None:
        self._station = station
        self._folder = station.data.run(tracker.view.id)
        self._tracker = tracker
        self._focuser = focuser
        self._burst = focuser.burst
        self._dark_adu: dict[float, float] = {}
        self._sink = sink
        self._pool = pool
        self._enquiry = enquiry

    def take(
        self, key: UnitKey, tile: FieldFacts, channel: Channel, protocol: Protocol
    ) -> tuple[UnitRecord, AcqError | None]:
        """Acquire one unit; return its record and what went wrong, if anything.

        Raises `StorageError` when not even the record can be written.
        """
        self._tracker.begin_unit(key)
        records: list[BlockRecord] = []
        witness: Witness | None = None
        beside = Beside()
        try:
            witness = self._witness(channel, protocol)
            assembler = self._assembler(key, channel, protocol, records)
        except AcqError as exc:
            outcome = Outcome(fault=exc)
        else:
            outcome = Outcome()
            place = tile, channel, protocol
            try:
                with self._focuser.planes.at(channel.z_offset_um):
                    beside.stack = self._stack(key, place)
                    outcome = self._expose(key, place, assembler, witness, beside)
                    if is_untouched(outcome, channel.frames) and not records:
                        self._tracker.note(
                            "armed again", after_frames=outcome.delivered
                        )
                        assembler.rewind()
                        outcome = self._expose(key, place, assembler, witness, beside)
            except AcqError as exc:
                # what came is judged by itself; what follows is decided elsewhere
                beside.fault = outcome.fault or exc
                outcome.fault = outcome.fault or (exc if not outcome.t_s else None)
        if isinstance(outcome.fault, StorageError):
            self._station.room.give_up_reserve()  # the verdict must find room
        record = self._conclude(key, channel, outcome, records, witness, beside)
        return record, outcome.fault or beside.fault

    def _stack(
        self, key: UnitKey, place: tuple[FieldFacts, Channel, Protocol]
    ) -> StackRecord | None:
        """Take the stack before a signal burst, where the protocol asks for one."""
        tile, channel, protocol = place
        if protocol.through_focus is None or channel.role != "signal":
            return None
        self._tracker.enter("through the focus", current=f"{key.field}/{key.channel}")
        taker = StackTaker(
            protocol.through_focus,
            self._burst,
            self._focuser.planes,
            self._station.hardware.focus,
            self._station.config,
            self._folder,
        )
        return taker.take(key, tile, channel, protocol.camera)

    def fail(self, key: UnitKey, channel: Channel, fault: AcqError) -> UnitRecord:
        """Note that a unit could not even begin."""
        self._tracker.begin_unit(key)
        return self._conclude(key, channel, Outcome(fault=fault), [], None, Beside())

    def _witness(self, channel: Channel, protocol: Protocol) -> Witness:
        """Return what looks after focus and light, with the dark of this exposure."""
        laser = self._station.config.laser(channel.laser_nm)
        model = self._station.config.camera.model
        dark_adu = model.offset_adu
        if laser.sample.step_adu is not None:
            exposure_ms = channel.exposure_ms
            if exposure_ms not in self._dark_adu:
                self._dark_adu[exposure_ms] = self._dark(channel, protocol)
            dark_adu = self._dark_adu[exposure_ms]
        proof = LightProof(channel, laser.sample, model, dark_adu)
        return Witness(self._focuser.watch(channel.z_offset_um), proof)

    def _dark(self, channel: Channel, protocol: Protocol) -> float:
        """Return the mean of a dark picture; what the camera model says without one.

        A camera that stalls here has its burst to begin yet, and is judged by that.
        """
        try:
            return self._burst.dark_adu(channel, protocol.camera)
        except CameraStalledError as exc:
            self._tracker.note("no dark picture", why=str(exc))
            return self._station.config.camera.model.offset_adu

    def _expose(
        self,
        key: UnitKey,
        place: tuple[FieldFacts, Channel, Protocol],
        assembler: Assembler,
        witness: Witness,
        beside: Beside,
    ) -> Outcome:
        tile, channel, protocol = place

        def add(frame: Frame) -> bool:
            self._sink.require_writing()
            is_block = assembler.add(frame)
            witness.see(frame, is_block=is_block)
            if activation is not None and is_block:
                activation.look(frame.index)
            self._station.show(key, frame.index, frame.adu)
            return is_block

        activation = self._activation(key, tile, channel)
        witness.begin()
        outcome = self._burst.take(
            tile,
            channel,
            protocol.camera,
            add,
            beside_nm=None if activation is None else activation.nm,
        )
        if activation is not None:
            try:
                activation.end(outcome.delivered)
            except AcqError as exc:
                outcome.fault = outcome.fault or exc
            beside.activation = activation.steps
        witness.end()
        assembler.discard()
        self._drain(outcome)
        self._note_light(channel, outcome)
        return outcome

    def _activation(
        self, key: UnitKey, tile: FieldFacts, channel: Channel
    ) -> Activation | None:
        """Return what steps the activating line in a burst, where it is asked for."""
        if channel.activation is None:
            return None
        return Activation(
            key,
            tile,
            channel,
            Means(
                self._station.hardware.lasers[channel.activation.laser_nm],
                self._burst,
                self._enquiry,
                self._station.clock,
            ),
            block_frames=raw_shape(channel, self._station).block_frames,
        )

    def _assembler(
        self,
        key: UnitKey,
        channel: Channel,
        protocol: Protocol,
        records: list[BlockRecord],
    ) -> Assembler:
        shape = raw_shape(channel, self._station)
        path = self._folder.raw(key, protocol.raw.format)
        try:
            raw.create(
                path,
                shape,
                pixel_um=self._station.config.camera.model.pixel_nm / 1000.0,
                exposure_ms=channel.exposure_ms,
                name=f"{key.field}/{key.channel}",
                coding=protocol.raw.coding,
            )
        except OSError as exc:
            raise StorageError(
                f"{path.name} cannot be made: {exc.strerror}; free or check the disk "
                f"of the data folder",
                errno=exc.errno,
            ) from exc

        def keep(record: BlockRecord) -> None:
            self._tracker.block_written(record)
            records.append(record)

        publish = self._station.publish if channel.role == "signal" else None
        destination = Destination(key, path, keep, publish)
        return Assembler(
            self._pool,
            (shape.block_frames, shape.height, shape.width),
            lambda block: self._sink.put(destination, block),
            timeout_s=BUFFER_WAIT_S,
            still=self._burst.light.require_still,
        )

    def _drain(self, outcome: Outcome) -> None:
        try:
            self._sink.drain(timeout_s=DRAIN_S)
        except AcqError as exc:
            outcome.fault = outcome.fault or exc

    def _note_light(self, channel: Channel, outcome: Outcome) -> None:
        if outcome.lit_s > 0.0:
            self._tracker.note(
                "light",
                nm=channel.laser_nm,
                power_percent=channel.power_percent,
                lit_s=round(outcome.lit_s, 3),
                frames=outcome.delivered,
            )

    def _conclude(
        self,
        key: UnitKey,
        channel: Channel,
        outcome: Outcome,
        records: list[BlockRecord],
        witness: Witness | None,
        beside: Beside,
    ) -> UnitRecord:
        raw.finish(self._folder.raw(key), records)
        found, suspected = self._audit(outcome)
        taps = Taps(
            requested=channel.frames,
            delivered=outcome.delivered,
            # Each was read back before it came into the ledger, and so here.
            written=sum(record.frames for record in records),
            lost_between=sum(gap.missing for gap in found),
            suspected=suspected,
        )
        seen = "" if witness is None else witness.not_scorable()
        state, reason = verdict(taps, fault=outcome.fault, stopped=outcome.stopped)
        record = UnitRecord(
            key=key,
            state=state,
            requested=taps.requested,
            delivered=taps.delivered,
            written=taps.written,
            published=sum(r.frames for r in records if r.published),
            started_utc=self._tracker.unit(key).started_utc
            or self._station.clock.stamp(),
            ended_utc=self._station.clock.stamp(),
            reason=reason,
            gaps=found,
            focus=None if witness is None else witness.focus(),
            not_scorable="; ".join(filter(None, (seen, outcome.filter_doubt))),
            emission_filter=outcome.emission_filter,
            stack=beside.stack,
            activation=tuple(beside.activation),
        )
        self._tracker.end_unit(record)
        return record

    def _audit(self, outcome: Outcome) -> tuple[tuple[Gap, ...], int]:
        """Return the gaps of a burst, and frames that are only suspected to miss."""
        if len(outcome.counts) == outcome.delivered:
            return gaps.by_count(outcome.counts), 0
        if self._station.config.camera.stamp_tag is not None:
            return gaps.by_clock(outcome.t_s), 0
        return (), gaps.suspected(outcome.t_s)


def is_untouched(outcome: Outcome, frames: int) -> bool:
    """Whether a stalled burst exposed so little that it may be begun again."""
    return (
        isinstance(outcome.fault, CameraStalledError)
        and outcome.delivered <= REARM_SHARE * frames
    )
