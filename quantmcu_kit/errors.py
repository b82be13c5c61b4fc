"""The one exception a user may meet. Imports nothing, so that every layer may raise it."""

from __future__ import annotations

# Exit codes of the command line, documented in README.md.
EXIT_OK = 0
EXIT_FAILED = 1  # verification or a budget failed
EXIT_BAD_INPUT = 2  # bad input or usage
EXIT_ENVIRONMENT = 3  # the environment lacks something (a compiler, a package)


class QmkitError(Exception):
    """A failure that a user can act on.

    Args:
        code: stable, lower-case, hyphenated identifier, such as ``unsupported-op``.
        message: what is wrong, naming the object (node, file, option).
        where: file, subgraph, layer: the place.
        why: the reason behind the rule that was broken.
        hint: what to do next.
        exit_code: one of the ``EXIT_*`` constants above.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        where: str = "",
        why: str = "",
        hint: str = "",
        exit_code: int = EXIT_BAD_INPUT,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.where = where
        self.why = why
        self.hint = hint
        self.exit_code = exit_code

    def located(self, where: str) -> QmkitError:
        """The same error with its place filled in, when the raiser could not know it."""
        return QmkitError(
            self.code,
            self.message,
            where=self.where or where,
            why=self.why,
            hint=self.hint,
            exit_code=self.exit_code,
        )

    def __str__(self) -> str:
        lines = [f"error[{self.code}]: {self.message}"]
        lines += [f"  {label:<6} {text}" for label, text in self.details()]
        return "\n".join(lines)

    def details(self) -> list[tuple[str, str]]:
        """The labelled lines below the message, empty ones left out."""
        labelled = [("where", self.where), ("why", self.why), ("hint", self.hint)]
        return [(label, text) for label, text in labelled if text]
