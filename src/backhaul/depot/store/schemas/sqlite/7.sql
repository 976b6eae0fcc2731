-- Version 7. What runs are filtered and sorted by: one row for each value of config and summary and each plain field.
-- Made when somebody asks or at leisure, not when a run changes; until then the run is marked as stale.
CREATE TABLE facets (
    project_id INTEGER NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    value ANY NOT NULL,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    PRIMARY KEY (project_id, name, value, run_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX facets_of_run ON facets (run_id);

ALTER TABLE runs ADD COLUMN facets_stale INTEGER NOT NULL DEFAULT 1;

CREATE INDEX runs_stale ON runs (project_id) WHERE facets_stale AND deleted_at IS NULL;

-- Lists of runs are made without reading the runs themselves, whose configs are long.
CREATE INDEX runs_listed ON runs (project_id, created_at, id, state, heartbeat_at, updated_at, user)
    WHERE deleted_at IS NULL;
