"""Names that stay unique in a graph, whatever the file calls its tensors."""

from __future__ import annotations


class UniqueNames:
    """Hands out each name once: the name itself, or ``name#n`` where it is taken. Linear in the number of names."""

    def __init__(self) -> None:
        self._repeats: dict[str, int] = {}

    def take(self, name: str) -> str:
        """``name`` or the next free ``name#n``."""
        unique = name
        while unique in self._repeats:
            self._repeats[name] += 1
            unique = f"{name}#{self._repeats[name]}"
        self._repeats[unique] = 0
        return unique
