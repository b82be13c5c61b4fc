"""What the user may choose: one field = one command-line flag = one row of the documentation."""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.schedule import HaloMode
from quantmcu_kit.patch.choose import OBJECTIVES, Wishes
from quantmcu_kit.patch.plan_file import INPUTS, parse_grid, read_plan

PREPROCESSES = ("pm1", "01", "imagenet", "raw")
ROUNDINGS = ("nearest", "second-order")
RANGES = ("minmax", "percentile", "mse")
HALOS = tuple(mode.value for mode in HaloMode)
COSTS = ("cycles", "macs", "bitops")
BITS = ("8", "auto")
PROXIES = ("kl", "entropy")
VDPC = ("auto", "off", "static", "dynamic")
VDPC_RULES = ("gaussian", "error")
WIDTHS = (8, 4, 2)


_EXAMPLES = {"flash": 500_000, "latency": 1000, "bitops": 0.5}


def _option(default: Any, help_text: str, metavar: str | None = None) -> Any:
    return field(default=default, metadata={"help": help_text, "metavar": metavar})


@dataclass(frozen=True)
class Options:
    """Options of a build. The flag of ``field_name`` is ``--field-name``."""

    board: str = _option("nano33ble", "Board to build for; `qmkit boards` lists them.")
    images: Path | None = _option(
        None,
        "Pictures for calibration: a folder, a CSV of path,label, or an .npz/.npy. Default: images/ beside the model.",
    )
    preprocess: str | None = _option(
        None, "How pixels become the network's input: pm1 (x/127.5-1), 01 (x/255), imagenet, or raw (0..255)."
    )
    mean: str | None = _option(None, "Explicit normalisation (x-mean)/std: one number, or one per channel as a,b,c.")
    std: str | None = _option(None, "See --mean.")
    limit: int = _option(250, "Most calibration pictures used, spread over the set.")
    bits: str = _option(
        "8", "Bits of feature maps and weights: 8, or auto (8, 4 or 2 each, as --search finds).", "8|auto"
    )
    range: str = _option("mse", "How the range of a feature map is chosen: minmax, percentile or mse.")
    rounding: str = _option("second-order", "How weights are rounded: nearest or second-order (GPTQ).")
    name: str | None = _option(None, "Name of the library and prefix of its symbols. Default: the model's file name.")
    output: Path | None = _option(None, "Folder to write the library to. Default: lib/NAME.")
    force: bool = _option(False, "Replace what lies in --output, and build even what does not fit the board.")
    patches: str = _option(
        "auto",
        "What runs patch by patch: auto (where the network would not fit otherwise), off, ROWSxCOLUMNS patches at the "
        "network's beginning (as far as saves most RAM), or a plan's JSON file.",
        "auto|off|RxC|FILE",
    )
    optimize: str = _option(
        "latency",
        "What patches are chosen for: latency (within the RAM) or ram (within --cost-limit).",
        "latency|ram",
    )
    cost_limit: float | None = _option(
        None, "With --optimize ram: most cost, as a factor of running layer by layer. Default: any."
    )
    ram: int | None = _option(None, "Most bytes of the arena. Default: what the board leaves.")
    halo: str | None = _option(
        None, "What patches keep for one another: " + ", ".join(HALOS) + ". Default: what is best."
    )
    input: str = _option(
        "auto",
        "Where the input lies: arena, rows (asked for as patches need them), or auto (rows if nothing else fits).",
        "auto|arena|rows",
    )
    cost: str | None = _option(
        None,
        "What cost means: cycles (of the board's processor), macs, or bitops (MACs x bits x bits). Default: cycles for "
        "patches, bitops for bits.",
        "cycles|macs|bitops",
    )
    search: str = _option(
        "vdqs",
        "With --bits auto: how to search: vdqs, milp, memory-driven, uniform, haq, or what a package brings.",
    )
    proxy: str = _option(
        "kl",
        "How the search knows what a width loses: kl (measured at the network's output) or entropy (of calibration "
        "histograms, the paper's).",
        "kl|entropy",
    )
    trade_off: float | None = _option(
        None, "The search's λ: 1 counts accuracy only, 0 cost only. Default: what measured best for the proxy."
    )
    vdpc: str = _option(
        "auto",
        "Classes of patches with bits of their own: static (by position), dynamic (by what each picture holds), off, "
        "or auto (where they lower the measured loss at equal cost).",
        "auto|off|static|dynamic",
    )
    vdpc_rule: str = _option(
        "error",
        "What makes a patch an outlier: error (measured harm), or gaussian (a value that is one, the paper's).",
        "gaussian|error",
    )
    phi: float = _option(0.95, "With --vdpc-rule gaussian: share of a Gaussian's mass that is no outlier.")
    map_widths: str = _option("8,4", "Bits that feature maps may have.")
    weight_widths: str = _option("8,4", "Bits that weights may have.")
    bitops: float | None = _option(
        None, "Most BitOPs, as a share of those at 8 bits: 0.5. Default: what the trade-off gives."
    )
    effort: float = _option(
        0.0,
        "With --bits auto: seconds to train the mix on calibration pictures, block by block, to give what the float "
        "network gives. Needs the extra accuracy.",
    )
    tuned: Path | None = _option(
        None,
        "Take widths and weights from a file that qmkit tune wrote, in place of --bits and --search.",
        "FILE",
    )
    hot_weights: int = _option(
        0,
        "Most bytes of weights that are copied to RAM when the program starts, as far as the board has room beside the "
        "arena: those that are read most often. It pays where flash makes the core wait.",
    )
    flash: int | None = _option(None, "Most bytes of flash. Default: what the board leaves.")
    latency: float | None = _option(
        None, "Most milliseconds per picture, by the processor's cycle model. Default: any."
    )

    def __post_init__(self) -> None:
        _require(self.bits in BITS, "bits", self.bits, "it is 8 for all, or auto to search", "--bits auto")
        _require(self.limit >= 1, "limit", self.limit, "calibration needs at least one picture", "--limit 100")
        _require(self.range in RANGES, "range", self.range, "the choices are " + ", ".join(RANGES), "--range minmax")
        _require(
            self.rounding in ROUNDINGS,
            "rounding",
            self.rounding,
            "the choices are " + ", ".join(ROUNDINGS),
            "--rounding nearest",
        )
        _require(
            self.preprocess is None or self.preprocess in PREPROCESSES,
            "preprocess",
            self.preprocess,
            "the choices are " + ", ".join(PREPROCESSES),
            "--preprocess pm1, or --mean and --std for any other",
        )
        self._check_patches()
        self._check_search()

    def _check_patches(self) -> None:
        is_word = self.patches in ("auto", "off") or parse_grid(self.patches) is not None
        _require(
            is_word or Path(self.patches).is_file(),
            "patches",
            self.patches,
            "it is auto, off, a grid such as 4x4, or the file of a plan, and there is no such file",
            "--patches auto",
        )
        for name, choices in (
            ("optimize", OBJECTIVES),
            ("input", INPUTS),
            ("cost", (None, *COSTS)),
            ("halo", (None, *HALOS)),
        ):
            value = getattr(self, name)
            words = ", ".join(filter(None, choices))
            _require(value in choices, name, value, f"the choices are {words}", f"--{name} {choices[-1]}")
        _require(self.ram is None or self.ram > 0, "ram", self.ram, "an arena has at least one byte", "--ram 65536")
        _require(
            self.hot_weights >= 0, "hot-weights", self.hot_weights, "it is a number of bytes", "--hot-weights 32768"
        )
        limit = self.cost_limit
        _require(
            limit is None or 1 <= limit < float("inf"),
            "cost-limit",
            limit,
            "it is a factor of running layer by layer, which costs 1",
            "--cost-limit 1.25",
        )

    def _check_search(self) -> None:
        for name, choices in (("proxy", PROXIES), ("vdpc", VDPC), ("vdpc_rule", VDPC_RULES)):
            value, flag = getattr(self, name), name.replace("_", "-")
            _require(value in choices, flag, value, f"the choices are {', '.join(choices)}", f"--{flag} {choices[0]}")
        trade_off = self.trade_off
        _require(
            trade_off is None or 0 <= trade_off <= 1,
            "trade-off",
            trade_off,
            "it weighs accuracy against cost, from 0 (cost only) to 1 (accuracy only)",
            "--trade-off 0.5",
        )
        _require(
            0 < self.phi < 1, "phi", self.phi, "it is a share of a Gaussian's mass, above 0 and below 1", "--phi 0.95"
        )
        for name in ("flash", "latency", "bitops"):
            value = getattr(self, name)
            _require(
                value is None or 0 < value < float("inf"),
                name,
                value,
                "a budget is above 0",
                f"--{name} {_EXAMPLES[name]}",
            )
        _require(0 <= self.effort < float("inf"), "effort", self.effort, "it is a number of seconds", "--effort 300")
        _require(
            self.effort == 0 or self.bits == "auto",
            "effort",
            self.effort,
            "what has 8 bits everywhere is not trained",
            "--bits auto, or no --effort",
        )
        _require(
            self.tuned is None or self.vdpc in ("auto", "off") and not self.effort,
            "tuned",
            self.tuned,
            "a tuned network is trained already, and its patches have no classes",
            "--tuned FILE without --effort and --vdpc",
        )
        _require(
            self.bitops is None or self.bitops <= 1,
            "bitops",
            self.bitops,
            "it is a share of the BitOPs at 8 bits",
            "--bitops 0.5",
        )
        for name in ("map_widths", "weight_widths"):
            widths = _widths(getattr(self, name))
            is_list = bool(widths) and set(widths) <= set(WIDTHS) and list(widths) == sorted(set(widths), reverse=True)
            flag = name.replace("_", "-")
            why = "it is a list out of 8, 4, 2, from wide to narrow"
            _require(is_list and widths[0] == 8, flag, getattr(self, name), why + ", 8 among them", f"--{flag} 8,4")

    @property
    def candidate_widths(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Bits that (feature maps, weights) may have, from wide to narrow."""
        return _widths(self.map_widths), _widths(self.weight_widths)

    def wishes(self, arena_bytes: int | None) -> Wishes:
        """What the planner is asked for; a plan's file is read.

        Args:
            arena_bytes: what the board leaves for the arena; ``ram`` takes its place.
        """
        grid = parse_grid(self.patches)
        is_word = self.patches in ("auto", "off")
        return Wishes(
            patches=self.patches if is_word else grid or read_plan(Path(self.patches)),
            optimize=self.optimize,
            ram_bytes=arena_bytes if self.ram is None else self.ram,
            must_fit=self.ram is not None,
            cost_limit=self.cost_limit,
            halo=HaloMode(self.halo) if self.halo else None,
            input=self.input,
        )

    @property
    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """(mean, std) of --mean and --std, None when neither is given."""
        if self.mean is None and self.std is None:
            return None
        return _numbers("mean", self.mean or "0"), _numbers("std", self.std or "1", positive=True)


def _widths(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()


def field_of(name: str) -> Field[Any]:
    """One option: its default and, as metadata, ``help`` and ``metavar``."""
    return next(entry for entry in fields(Options) if entry.name == name)


def _require(condition: bool, name: str, value: object, why: str, hint: str) -> None:
    if not condition:
        raise QmkitError("bad-option", f"--{name} {value} is not possible", why=why, hint=hint)


def _numbers(name: str, text: str, positive: bool = False) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    valid = values and all(abs(value) < 1e30 and (value > 0 or not positive) for value in values)
    kind = "positive numbers" if positive else "numbers"
    _require(bool(valid), name, text, f"it takes one or three {kind}", f"--{name} 127.5 or --{name} 123.7,116.3,103.5")
    return values
