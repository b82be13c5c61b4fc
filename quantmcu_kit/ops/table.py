"""The operators that the kit knows. An op that is missing here is refused at import, never guessed."""

from quantmcu_kit.ops import conv_2d
from quantmcu_kit.ops.spec import OpSpec

_SPECS: tuple[OpSpec, ...] = (conv_2d.SPEC,)

TABLE: dict[str, OpSpec] = {spec.name: spec for spec in _SPECS}
