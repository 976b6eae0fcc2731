"""The GraphQL half of the W&B protocol: one endpoint, a schema of what official clients ask, resolvers by type."""

from __future__ import annotations

from backhaul.depot.graphql.endpoint import GraphQLEndpoint

__all__ = ["GraphQLEndpoint"]
