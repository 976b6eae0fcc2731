"""Bundles: one file, or several volumes, that carry runs with all their payloads across an air gap."""
