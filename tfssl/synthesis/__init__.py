"""Pixels as the unknown: images that a network's features ask for."""
