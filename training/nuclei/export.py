"""Write the trained network as ONNX, with its facts inside, and compare both.

Example: python -m training.nuclei.export --checkpoint runs/nuclei/checkpoint.pt \
    --out her2sr_proc/segmentation/nuclei.onnx
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from her2sr_proc.segmentation.network import Network
from training.nuclei.network import CHANNELS, INPUTS, OUTPUTS, UNet

OPSET, IR_VERSION = 17, 9
"""Old enough for every runtime of the last years."""
AGREES = 1e-4
"""Largest difference between PyTorch and the runtime."""


class _Graph:
    """Nodes and weights of a graph that is written layer by layer."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, kind: str, inputs: list[str], **attributes: object) -> str:
        """Append a node; return the name of its output."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def weight(self, values: torch.Tensor) -> str:
        """Append a weight; return its name."""
        name = f"weight_{len(self.weights)}"
        array = values.detach().numpy().astype(np.float32)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def convolve(self, source: str, layer: nn.Conv2d, norm: nn.Module | None) -> str:
        """Append a convolution with its batch norm folded into the weights."""
        weight, bias = layer.weight, layer.bias
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_var is not None
            assert norm.running_mean is not None
            gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            weight = layer.weight * gain[:, None, None, None]
            bias = norm.bias - norm.running_mean * gain
        assert bias is not None
        side = layer.kernel_size[0]
        return self.add(
            "Conv",
            [source, self.weight(weight), self.weight(bias)],
            kernel_shape=[side, side],
            pads=[side // 2] * 4,
        )

    def block(self, source: str, layers: nn.Module) -> str:
        """Append two convolutions, each with its norm and its rectifier."""
        parts = list(layers.children())
        for layer, norm in ((parts[0], parts[1]), (parts[3], parts[4])):
            assert isinstance(layer, nn.Conv2d)
            source = self.add("Relu", [self.convolve(source, layer, norm)])
        return source


def graph_of(network: UNet) -> onnx.ModelProto:
    """Return the network as ONNX; its outputs are from 0 to 1."""
    graph = _Graph()
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice")
    graph.weights.append(scales)
    kept, x = [], "planes"
    for level, block in enumerate(network.down):
        if level:
            x = graph.add("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
        x = graph.block(x, block)
        kept.append(x)
    for level in reversed(range(len(network.up))):
        wide = graph.add(
            "Resize",
            [x, "", "twice"],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        x = graph.add("Concat", [kept[level], wide], axis=1)
        x = graph.block(x, network.up[level])
    graph.add("Sigmoid", [graph.convolve(x, network.head, None)])
    graph.nodes[-1].output[0] = "found"
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "nuclei",
            [_tensor("planes", INPUTS)],
            [_tensor("found", OUTPUTS)],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="her2sr",
    )
    onnx.checker.check_model(model)
    return model


def _tensor(name: str, channels: int) -> onnx.ValueInfoProto:
    shape = [1, channels, "height", "width"]
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def difference(network: UNet, path: Path) -> float:
    """Return the largest difference between PyTorch and the runtime on noise."""
    planes = np.random.default_rng(0).random((INPUTS, 96, 128), np.float32)
    with torch.no_grad():
        wanted = torch.sigmoid(network(torch.from_numpy(planes[None])))[0].numpy()
    return float(np.abs(Network(path).predict(planes) - wanted).max())


def main() -> None:
    """Write the file, or say why it must not be used."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    state = torch.load(arguments.checkpoint, weights_only=True)
    network = UNet()
    network.load_state_dict(state["mean"])
    network.eval()
    model = graph_of(network)
    facts = {"channels": CHANNELS, "steps": state["step"], **state["settings"]}
    helper.set_model_props(
        model,
        {
            "name": "her2sr nuclei U-Net",
            "training": json.dumps(facts),
            "licence": "BSD-3-Clause",
            "use": "research use only, not for use in diagnostic procedures",
        },
    )
    onnx.save(model, arguments.out)
    apart = difference(network, arguments.out)
    if apart > AGREES:
        arguments.out.unlink()
        raise SystemExit(f"PyTorch and the runtime differ by {apart:.1e}; not written")


if __name__ == "__main__":
    main()
