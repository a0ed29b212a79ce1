"""Figures that are no race."""

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class Figure:
    """One sentence of the report: what, how much, and the bound that it must stay under, if there is one."""

    key: str
    title: str
    value: float
    unit: str
    bound: float | None = None
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the bound holds."""
        return None if self.bound is None else self.value < self.bound
