"""What may be asked of a search for the precision of a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.search.vdpc import central_threshold

PROXIES = ("kl", "entropy")
VDPC = ("auto", "off", "static", "dynamic")
RULES = ("error", "gaussian")


@dataclass(frozen=True)
class Settings:
    """Options of :func:`find.find_precision`.

    Attributes:
        search: name of the strategy.
        proxy: what Ω is: ``kl``, the measured divergence of the output, or the paper's ``entropy``.
        vdpc: whether patches have classes; ``auto`` keeps them where the divergence of all choices together, measured
            at no more cost than without them, is clearly lower (``find``).
        vdpc_rule: what makes an outlier: ``gaussian``, a value that is one (the paper's rule), or ``error``, measured
            harm (``classes``).
        phi: φ of the gaussian rule, the share of values that count as ordinary.
        trade_off: λ of VDQS; None: accuracy alone where BitOPs or cycles have a budget, else a measured default.
        map_widths, weight_widths: candidates, from wide to narrow.
        by_cycles: cost is cycles, not BitOPs.
        state: folder in which long searches keep what an interrupted one can go on from; None: nowhere.
    """

    search: str = "vdqs"
    proxy: str = "kl"
    vdpc: str = "auto"
    vdpc_rule: str = "error"
    phi: float = 0.95
    trade_off: float | None = None
    map_widths: tuple[int, ...] = (8, 4)
    weight_widths: tuple[int, ...] = (8, 4)
    by_cycles: bool = False
    state: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name, value, choices in (
            ("proxy", self.proxy, PROXIES),
            ("vdpc", self.vdpc, VDPC),
            ("vdpc-rule", self.vdpc_rule, RULES),
        ):
            if value not in choices:
                raise QmkitError(
                    "bad-option", f"--{name} {value} is not possible", why="the choices are " + ", ".join(choices)
                )
        central_threshold(self.phi)
