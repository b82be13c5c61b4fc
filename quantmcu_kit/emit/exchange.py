"""Rows that are kept for patches below, where classes of patches differ: the tables between tiles and kept rows."""

from __future__ import annotations

from quantmcu_kit.emit.classes import PatchClasses
from quantmcu_kit.emit.constants import ConstantPool
from quantmcu_kit.ops.carry import Carry, requantization
from quantmcu_kit.ops.lookup import c_table


def define_exchange(tensor: str, index: int, pool: ConstantPool, classes: PatchClasses) -> str | None:
    """The definition in C of x<index>, one exchange per class; None for a map that is the same for all classes.

    Args:
        tensor: a map with kept rows, which hold values of the first class.
        index: of the node that computes it.
        pool: gets the tables.
    """
    own = [graph.tensors[tensor] for graph in classes.graphs]
    kept = own[0]
    if all(requantization(each, kept).table is None for each in own):
        return None

    def table(rule: Carry, suffix: str, what: str) -> str:
        values = c_table(rule.table)
        return "NULL" if values is None else pool.add(f"{index:02d}_{suffix}", what, values, may_share=True).name

    rows = []
    for each, suffix in zip(own, classes.suffixes, strict=True):
        give, take = requantization(each, kept), requantization(kept, each)
        tables = f"{table(give, suffix, 'give')}, {table(take, suffix, 'take')}"
        rows.append(f"    {{{tables}, {each.dtype.bits}, {kept.dtype.bits}}},")
    return "\n".join((f"static const qmcu_exchange_t x{index:02d}[{len(own)}] = {{", *rows, "};"))
