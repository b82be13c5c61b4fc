"""A stable, line-per-node dump of a graph, for people and for tests."""

from __future__ import annotations

from quantmcu_kit.ir.graph import Graph, Tensor


def describe(tensor: Tensor) -> str:
    """Shape and type of one tensor, such as ``1x48x48x8 int8``."""
    return f"{'x'.join(map(str, tensor.shape)) or 'scalar'} {tensor.dtype.value}"


def dump(graph: Graph) -> str:
    """The graph as text: inputs, one line per node in execution order, outputs."""
    lines = [f"graph {graph.name}"]
    lines += [f"  input  {port.tensor}: {describe(graph.tensors[port.tensor])}" for port in graph.inputs]
    for index, node in enumerate(graph.nodes):
        ins = ", ".join("-" if name is None else name for name in node.inputs)
        outs = ", ".join(f"{name}: {describe(graph.tensors[name])}" for name in node.outputs)
        kernel = f"  by {node.kernel}" if node.kernel else ""
        lines.append(f"  {index:02d} {node.op} {node.name}({ins}) -> {outs}  {node.attrs}{kernel}")
    lines += [f"  output {port.tensor}: {describe(graph.tensors[port.tensor])}" for port in graph.outputs]
    return "\n".join(lines) + "\n"
