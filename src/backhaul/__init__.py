"""Backhaul brings offline Weights & Biases runs home: every run, every row, with proof."""
