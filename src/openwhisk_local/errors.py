"""The one error that the package raises to its callers."""

from __future__ import annotations


class HostError(Exception):
    """The host cannot be configured or started as asked.

    Args:
        message: What was received and what was expected.
        hint: How to fix it, in one sentence; may be empty.
        code: A stable word for programs.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        code: str = "bad_configuration",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
