#!/usr/bin/env python3
"""Shapes and what they have in common."""

import math
from typing import Optional, List

LIMIT: int = 10  # as many as there are


class Shape:
    """What has an area."""

    # Counts them all.
    count = 0

    def __init__(self, name: str, sides: int = 3, *rest, **options):
        """Takes a name."""
        self.name = name  # kept
        self.text = """a # that is no comment

        in a string"""

    @property
    def area(self) -> float:
        """Its area."""
        return 0.0


@final
class Circle(Shape, metaclass=Meta):
    async def area(self, *, exact: bool = False) -> Optional[float]:
        def square(x):
            return x * x

        return math.pi * square(self.radius)


def empty():
    """Only documented."""


def main(arguments: List[str]) -> None:
    if arguments:
        print("#", arguments)
