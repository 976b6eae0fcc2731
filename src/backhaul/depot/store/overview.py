"""What there is in short, counted over whole projects."""

from __future__ import annotations

from backhaul.depot.model import Project, ProjectFacts
from backhaul.depot.store.database import Connection

# `length` of a stored body is read from the head of its row, not from the body itself.
_FACTS = """
WITH run_facts AS (
    SELECT project_id, count(*) AS runs, max(heartbeat_at) AS active_at FROM runs WHERE deleted_at IS NULL
    GROUP BY project_id
), line_sizes AS (
    SELECT runs.project_id, CAST(sum(length(batches.body)) AS BIGINT) AS size
    FROM batches JOIN runs ON runs.id = batches.run_id GROUP BY runs.project_id
), file_sizes AS (
    SELECT runs.project_id, CAST(sum(files.size) AS BIGINT) AS size FROM files JOIN runs ON runs.id = files.run_id
    GROUP BY runs.project_id
), content_sizes AS (
    SELECT project_id, CAST(sum(size) AS BIGINT) AS size FROM contents GROUP BY project_id
), collection_counts AS (
    SELECT project_id, count(*) AS collections FROM collections WHERE portfolio OR EXISTS (
        SELECT 1 FROM artifacts WHERE collection_id = collections.id AND committed AND artifacts.deleted_at IS NULL
    ) GROUP BY project_id
)
SELECT id, entity, name, created_at, coalesce(runs, 0), coalesce(collections, 0), coalesce(active_at, created_at),
    coalesce(line_sizes.size, 0) + coalesce(file_sizes.size, 0) + coalesce(content_sizes.size, 0)
FROM projects
LEFT JOIN run_facts ON run_facts.project_id = projects.id
LEFT JOIN line_sizes ON line_sizes.project_id = projects.id
LEFT JOIN file_sizes ON file_sizes.project_id = projects.id
LEFT JOIN content_sizes ON content_sizes.project_id = projects.id
LEFT JOIN collection_counts ON collection_counts.project_id = projects.id
"""


def projects(connection: Connection) -> list[ProjectFacts]:
    """All projects with what is in them."""
    return [ProjectFacts(Project(*row[:4]), *row[4:]) for row in connection.execute(_FACTS)]
