"""Linked assets for Immich: one family account's media, real assets in every linked account."""

__version__ = "0.1.0"
