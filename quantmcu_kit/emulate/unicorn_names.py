"""The CPU emulator's package, which is an extra: imported where it is first needed."""

from __future__ import annotations

from quantmcu_kit.emulate.elf import emulator_missing


class Unicorn:
    """unicorn's names, imported when they are needed: the package is an extra."""

    EXCEPTION_BREAKPOINT = 7  # QEMU's EXCP_BKPT

    def __init__(self) -> None:
        import unicorn
        from unicorn import arm_const, unicorn_const

        self.Uc, self.UcError = unicorn.Uc, unicorn.UcError
        self.arm = arm_const
        self._kinds = {
            getattr(unicorn_const, f"UC_MEM_{kind}_{why}"): kind.lower()
            for kind in ("READ", "WRITE", "FETCH")
            for why in ("UNMAPPED", "PROT")
        }
        for name in dir(unicorn_const):
            if name.startswith(("UC_ARCH", "UC_MODE", "UC_PROT", "UC_HOOK")):
                setattr(self, name, getattr(unicorn_const, name))

    def access_name(self, kind: int) -> str:
        """read, write or fetch."""
        return self._kinds.get(kind, "access")


def import_unicorn() -> Unicorn:
    """The package's names; raises ``emulator-missing``."""
    try:
        return Unicorn()
    except ImportError:
        raise emulator_missing("unicorn") from None
