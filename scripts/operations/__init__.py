"""Collects the GraphQL operations of the official client and holds them against our SDL (development only)."""
