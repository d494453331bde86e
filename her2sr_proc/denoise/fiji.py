"""Noise2Void models of Fiji (format 0.3.0) taken over, without TensorFlow.

Fiji hands images to the network with x and y swapped, so the kernels are turned; the
batch norms are Keras' (epsilon 1e-3). See `store.tensor_bundle` for the variables.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from her2sr_proc.denoise import unet
from her2sr_proc.denoise.graph import graph_of
from her2sr_proc.denoise.inference import Denoiser
from her2sr_proc.denoise.model import Model, digest, parsed
from her2sr_proc.errors import ModelError
from her2sr_proc.schema.denoise import UNSTATED, Card, NetworkForm, Normalization
from her2sr_proc.store.safe_zip import SafeZip
from her2sr_proc.store.tensor_bundle import read_index, tensor
from her2sr_proc.store.tiff import READ_ERRORS
from her2sr_proc.versions import versions

F32 = npt.NDArray[np.float32]

AGREES_ADU = 0.01
"""Largest difference from the file's own sample."""
INDEX = "variables/variables.index"
DATA = "variables/variables.data-00000-of-00001"
BUNDLE = "tf_saved_model_bundle.zip"
_PARTS = {
    "gamma": "gamma",
    "beta": "beta",
    "mean": "moving_mean",
    "variance": "moving_variance",
}


def import_fiji(path: Path) -> tuple[Model, float | None]:
    """Return the model, and how far in ADU it is from the file's own sample.

    Raises `ModelError` for a file that is not such a model, and when the two differ.
    """
    if not path.is_file():
        raise ModelError(f"there is no model {path}; check the path", path=str(path))
    form = NetworkForm()
    with SafeZip(path, path.name) as archive:
        described = parsed(archive, "model.yaml")
        normal = _normalization(described, path.name)
        weights = _weights(archive, form)
        sample = _sample(archive)
    onnx = graph_of(weights, form)
    card = Card(
        form=form,
        normalization=normal,
        halo_px=form.halo_px,
        source="fiji",
        training=_training(described),
        made_by=versions(("her2sr", "onnx")),
        source_sha256=digest(path.read_bytes()),
        licence=str(described.get("license") or UNSTATED)[:100],
        weights_sha256=digest(onnx),
    )
    shown = sample[0] if sample else np.full((64, 64), normal.mean_adu, np.float32)
    found = Denoiser(card, onnx)(shown)
    apart = float(np.abs(found - sample[1]).max()) if sample else None
    if apart is not None and not apart <= AGREES_ADU:
        raise ModelError(
            f"the network read from {path.name} differs from its own sample by "
            f"{apart:.3g} ADU (at most {AGREES_ADU} is accepted), so it was not read "
            f"rightly; it is of another form than Fiji's Noise2Void"
        )
    return Model(card, onnx, shown, found), apart


def _weights(archive: SafeZip, form: NetworkForm) -> dict[str, F32]:
    with SafeZip(archive.read(BUNDLE), f"{BUNDLE} in {archive.name}") as bundle:
        entries = read_index(bundle.read(INDEX))
        data = bundle.read(DATA)
    found: dict[str, F32] = {}
    for number, layer in enumerate(unet.layers(form), 1):
        kernel = tensor(f"{layer.name}/kernel", entries, data)
        if kernel.ndim != 4:
            raise ModelError(
                f"the kernel of '{layer.name}' has {kernel.ndim} axes, not 4: models "
                f"of stacks are not read here, only those of single frames"
            )
        # (x, y, in, out) of Fiji's network is (out, in, y, x) of ours
        found[f"{layer.name}/kernel"] = np.ascontiguousarray(
            kernel.transpose(3, 2, 1, 0)
        )
        found[f"{layer.name}/bias"] = tensor(f"{layer.name}/bias", entries, data)
        for part, theirs in _PARTS.items() if layer.name != unet.HEAD else ():
            name = f"batch_normalization_{number}/{theirs}"
            found[f"{layer.name}/{part}"] = tensor(name, entries, data)
    return found


def _normalization(described: dict[str, Any], name: str) -> Normalization:
    """Return the fixed mean and deviation, after checking what else is stated."""
    version = str(described.get("format_version"))
    if not version.startswith("0.3."):
        raise ModelError(
            f"{name} is of format {version[:20]}; models of Fiji's Noise2Void have "
            f"0.3.0"
        )
    try:
        (put,) = described["inputs"]
        (out,) = described["outputs"]
        axes = (str(put["axes"]), str(out["axes"]))
        (step,) = put["preprocessing"]
        kind, facts = step["name"], step["kwargs"]
        (mean,), (sd,) = facts["mean"], facts["std"]
        mode = facts.get("mode")
        values = float(mean), float(sd)
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise ModelError(
            f"'model.yaml' in {name} does not say how pixels are normalized and which "
            f"axes there are; export the model again from Fiji"
        ) from exc
    if axes != ("byxc", "byxc"):
        raise ModelError(
            f"{name} has the axes {axes[0]} in and {axes[1]} out; only models of "
            f"single frames (byxc) are read here"
        )
    if (kind, mode) != ("zero_mean_unit_variance", "fixed"):
        raise ModelError(
            f"{name} normalizes by '{kind}' ({mode}); only a fixed mean and deviation "
            f"(zero_mean_unit_variance) is read here"
        )
    if not (np.isfinite(values).all() and 0 < values[1] <= 1e6 >= abs(values[0])):
        raise ModelError(
            f"{name} states a mean of {values[0]:g} and a deviation of {values[1]:g} "
            f"ADU, which cannot be; export the model again"
        )
    return Normalization(mean_adu=values[0], sd_adu=values[1])


def _training(described: dict[str, Any]) -> dict[str, str | int | float | bool | None]:
    """Return the plain facts of Fiji's training, where there are any."""
    part: Any = described
    for key in ("config", "fiji", "training", "kwargs"):
        part = part.get(key) if isinstance(part, dict) else None
    plain = part.items() if isinstance(part, dict) else ()
    return {
        str(name)[:100]: value
        for name, value in plain
        if isinstance(value, (str, int, float, bool)) or value is None
    }


def _sample(archive: SafeZip) -> tuple[F32, F32] | None:
    """Return the file's own patch before and after, if it has one."""
    names = ("sample_in.tif", "sample_out.tif")
    if any(name not in archive.members for name in names):
        return None
    found = []
    for name in names:
        try:
            patch = tifffile.imread(io.BytesIO(archive.read(name)))
        except READ_ERRORS as exc:
            raise ModelError(
                f"'{name}' in {archive.name} cannot be read; export the model again"
            ) from exc
        if patch.ndim != 2 or min(patch.shape) < 16 or max(patch.shape) > 4096:
            raise ModelError(
                f"'{name}' in {archive.name} has shape {patch.shape}; one plane of "
                f"16 to 4096 pixels a side is wanted"
            )
        found.append(np.asarray(patch, np.float32))
    if found[0].shape != found[1].shape:
        raise ModelError(f"the samples in {archive.name} differ in size")
    return found[0], found[1]
