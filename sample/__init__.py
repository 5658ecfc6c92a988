"""An Immich-like database made from the model, and a small family that a real Immich wrote.

Used by the tests, the benchmarks and the demonstration; not part of the wheel.
"""

from .immich import FAMILIES, create_immich, load_family

__all__ = ["FAMILIES", "create_immich", "load_family"]
