"""Branch classes of a segment as the generated C shows them: numbers, tables, and what tells the class of a patch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from quantmcu_kit.emit.constants import format_values
from quantmcu_kit.emit.names import comment
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.branches import Branches, Scan, check_branches
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.manifest import ClassesEntry
from quantmcu_kit.ir.schedule import Patches, Schedule

CHOICE = "branch"  # the variable in C that holds the number of a patch's class
_MOST = 2


@dataclass(frozen=True, eq=False)
class PatchClasses:
    """The two classes of a segment's patches; in C they are numbers, in this order.

    Attributes:
        patches: how the segment runs.
    """

    branches: Branches
    patches: Patches

    @property
    def names(self) -> tuple[str, ...]:
        """By number; safe in a comment."""
        return tuple(map(comment, self.branches.names))

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What tells the constants of a class from those of the first: part of a C identifier."""
        return tuple(re.sub(r"\W", "_", name, flags=re.ASCII) for name in self.branches.names)

    @property
    def graphs(self) -> tuple[Graph, ...]:
        """The network as patches of each class compute it, by number."""
        return tuple(self.branches.graphs[name] for name in self.branches.names)

    @property
    def legend(self) -> str:
        """Which number is which class."""
        return ", ".join(f"{number} {name}" for number, name in enumerate(self.names))

    @property
    def told_by(self) -> str:
        """What decides, and over which classes."""
        if self.is_scanned:
            return f"told by their pixels: {' or '.join(self.names)}"
        every = [number for row in self.numbers for number in row]
        counts = (f"{every.count(number)} {name}" for number, name in enumerate(self.names))
        return f"told by their place: {', '.join(counts)}"

    @property
    def is_scanned(self) -> bool:
        """Whether the picture decides."""
        return isinstance(self.branches.rule, Scan)

    @property
    def limit(self) -> int:
        """Of a scan."""
        return self.branches.rule.limit

    @property
    def bits(self) -> int:
        """Of a value that is scanned."""
        return self.branches.common.tensors[self.patches.input].dtype.bits

    @property
    def scores(self) -> str:
        """The table of a scan, as lines."""
        return format_values(self.branches.rule.table[: self.score_count])

    @property
    def score_count(self) -> int:
        """Entries of the table: one per value of the segment's input."""
        return 1 << self.bits if self.is_scanned else 0

    @cached_property
    def numbers(self) -> tuple[tuple[int, ...], ...]:
        """Of the class of each patch where its position decides, row by row."""
        number = {name: index for index, name in enumerate(self.branches.names)}
        return tuple(tuple(number[name] for name in row) for row in self.branches.rule.names)

    @property
    def entry(self) -> ClassesEntry:
        """What the manifest says."""
        names = None if self.is_scanned else self.branches.rule.names
        limit = self.limit if self.is_scanned else None
        return ClassesEntry(self.branches.names, names, limit, self.score_count)


def patch_classes(branches: Branches | None, schedule: Schedule, stage: int) -> PatchClasses | None:
    """The classes of a stage of the schedule, None where its patches are all alike.

    Raises:
        QmkitError: ``branch-classes``: there are more than the generated code tells apart.
    """
    if branches is None or branches.stage != stage or len(branches.graphs) == 1:
        return None
    if len(branches.graphs) > _MOST:
        raise QmkitError(
            "branch-classes",
            f"patches of {len(branches.graphs)} branch classes were planned",
            why=f"the generated code tells {_MOST} apart",
            hint="--vdpc off, static or dynamic",
        )
    check_branches(branches, schedule)
    return PatchClasses(branches, schedule.stages[stage].patches)
