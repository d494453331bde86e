"""The U-Net as an ONNX file: batch norms folded into the convolutions, any frame size.

The file takes normalized pixels and returns normalized pixels; camera counts are for
whoever holds the card.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from her2sr_proc.denoise import unet
from her2sr_proc.schema.denoise import NetworkForm

OPSET, IR_VERSION = 17, 9
"""Old enough for every runtime of the last years."""
INPUT, OUTPUT = "input", "output"


def graph_of(weights: unet.Weights, form: NetworkForm) -> bytes:
    """Return the network as ONNX. Raises `ModelError` for weights of another form."""
    unet.require_fitting(weights, form)
    pen = _Pen(weights, is_blurred=form.method == "n2v2")
    unet.draw(pen, INPUT, form)
    pen.nodes[-1].output[0] = OUTPUT
    graph = helper.make_graph(
        pen.nodes, "noise2void", [_image(INPUT)], [_image(OUTPUT)], pen.weights
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="her2sr",
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


class _Pen:
    """Nodes and weights of a graph that is written layer by layer."""

    def __init__(self, weights: unet.Weights, *, is_blurred: bool) -> None:
        self._from = weights
        self._is_blurred = is_blurred
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def block(self, name: str, x: str) -> str:
        return self._node("Relu", [self.head(name, x)])

    def head(self, name: str, x: str) -> str:
        kernel, bias = unet.folded(self._from, name)
        side = kernel.shape[-1]
        inputs = [x, self._weight(kernel), self._weight(bias)]
        return self._node(
            "Conv", inputs, kernel_shape=[side, side], pads=[side // 2] * 4
        )

    def halve(self, x: str) -> str:
        if not self._is_blurred:
            return self._node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
        x = self._node("MaxPool", [x], kernel_shape=[2, 2], pads=[0, 0, 1, 1])
        around = self._weight(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
        x = self._node("Pad", [x, around], mode="reflect")
        channels = self._channels()
        blur = np.ascontiguousarray(np.broadcast_to(unet.BLUR, (channels, 1, 3, 3)))
        return self._node(
            "Conv",
            [x, self._weight(blur)],
            kernel_shape=[3, 3],
            strides=[2, 2],
            group=channels,
        )

    def double(self, x: str) -> str:
        twice = self._weight(np.array([1, 1, 2, 2], np.float32))
        return self._node(
            "Resize",
            [x, "", twice],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    def join(self, x: str, kept: str) -> str:
        return self._node("Concat", [x, kept], axis=1)

    def _channels(self) -> int:
        """Return the channels of the last convolution."""
        kernels = [w for w in self.weights if len(w.dims) == 4]
        return int(kernels[-1].dims[0])

    def _node(self, kind: str, inputs: list[str], **attributes: object) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def _weight(self, values: npt.NDArray[np.generic]) -> str:
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name


def _image(name: str) -> onnx.ValueInfoProto:
    shape = ["batch", 1, "height", "width"]
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
