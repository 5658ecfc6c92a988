"""An Immich-like database made from the model, and a small family that a real Immich wrote.

Used by the tests, the benchmarks and the demonstration; not part of the wheel.
"""

from .immich import create_immich, has_family, load_family

__all__ = ["create_immich", "has_family", "load_family"]
