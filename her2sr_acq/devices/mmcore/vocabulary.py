"""Which properties open adapters have, as far as their sources were read.

From the adapters' public sources (micro-manager/mmCoreAndDevices at 8431eb13c). It is
no complete list: a property that is missing here is unverified, not wrong. Adapters of
which the source is closed have an empty set: nothing of theirs can be verified.
"""

from __future__ import annotations

Names = frozenset[str]
Adapter = tuple[str, str]
"""Library and device name."""

EVERY: Names = frozenset({"Name", "Description", "Label", "State"})
"""Properties that the core itself or its device types give."""
CORE: Names = frozenset(
    {
        "Initialize",
        "Camera",
        "Shutter",
        "Focus",
        "XYStage",
        "AutoFocus",
        "AutoShutter",
        "ChannelGroup",
        "TimeoutMs",
    }
)
ROLES: Names = frozenset({"Camera", "Shutter", "Focus", "XYStage", "AutoFocus"})
"""Properties of the core whose value is the label of a device."""

_STAGE: Names = frozenset({"Port"})
KNOWN: dict[Adapter, Names] = {
    ("SerialManager", "*"): frozenset(
        {
            "BaudRate",
            "AnswerTimeout",
            "DataBits",
            "DelayBetweenCharsMs",
            "Handshaking",
            "Parity",
            "StopBits",
        }
    ),
    ("CoherentOBIS", "CoherentObis"): frozenset(
        {
            "Port",
            "DeviceIndex",
            "PowerSetpoint",
            "PowerReadback",
            "Minimum Laser Power",
            "Maximum Laser Power",
            "Wavelength",
            "Head Usage Hours",
            "HeadID",
        }
    ),
    ("Omicron", "Omicron"): frozenset(
        {
            "Laser Operation Select",
            "Laser Power Set-point Select [%]",
            "Laser Power Set-point Select [mW]",
            "Laser Power Status [mW]",
            "Error",
        }
    ),
    ("Toptica_iBeamSmartCW", "iBeamSmartCW"): frozenset(
        {
            "Port",
            "Laser Operation",
            "Power (mW)",
            "Maximum power (mW)",
            "Clipping status",
            "Enable ext trigger",
            "Enable Fine",
            "Fine A (%)",
            "Fine B (%)",
        }
    ),
    ("AndorSDK3", "Andor sCMOS Camera"): frozenset(
        {
            "PixelEncoding",
            "Sensitivity/DynamicRange",
            "ElectronicShutteringMode",
            "TriggerMode",
            "FrameRate",
            "PixelReadoutRate",
            "AcquisitionWindow",
            "AuxOut1",
        }
    ),
    ("ASIStage", "XYStage"): _STAGE,
    ("ASIStage", "ZStage"): _STAGE,
    ("ASIStage", "CRISP"): frozenset(
        {
            "Port",
            "Axis",
            "CRISP State",
            "LED Intensity",
            "Objective NA",
            "GainMultiplier",
            "In Focus Range(um)",
            "Max Lock Range(mm)",
            "Wait ms after Lock",
            "Lock Offset",
            "Sum",
            "Dither Error",
            "Signal Noise Ratio",
        }
    ),
    ("ASIFW1000", "ASIFWController"): _STAGE | {"Firmware version"},
    ("ASIFW1000", "ASIFilterWheel"): frozenset(
        {"ASIFilterWheelNumber", "ClosedPosition", "SpeedSetting", "SerialCommand"}
    ),
    ("MicroFPGA", "MicroFPGA-Hub"): _STAGE,
    ("MicroFPGA", "Laser Trigger"): frozenset(
        {"Number of lasers"}
        | {f"{name}{n}" for name in ("Mode", "Sequence") for n in range(8)}
        | {f"Duration{n} (us)" for n in range(8)}
    ),
    ("HamamatsuHam", "HamamatsuHam_DCAM"): frozenset({"Exposure"}),
    ("NikonTi2", "*"): frozenset(),
}


def knows(library: str, name: str, property_name: str) -> bool:
    """Return whether a source says that the device has the property."""
    if property_name in EVERY:
        return True
    names = KNOWN.get((library, name)) or KNOWN.get((library, "*")) or frozenset()
    return property_name in names
