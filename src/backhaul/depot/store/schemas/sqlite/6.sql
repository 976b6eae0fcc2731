-- Version 6: sweeps. A proposal is a point of the search, given to an agent to be tried in a run.

CREATE TABLE sweeps (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    config TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    display_name TEXT,
    description TEXT,
    prior_runs TEXT,
    user TEXT,
    UNIQUE (project_id, name)
) STRICT;

CREATE TABLE agents (
    id INTEGER PRIMARY KEY,
    sweep_id INTEGER NOT NULL REFERENCES sweeps (id),
    host TEXT NOT NULL,
    created_at REAL NOT NULL,
    heartbeat_at REAL NOT NULL
) STRICT;

CREATE INDEX agents_of_sweep ON agents (sweep_id);

CREATE TABLE proposals (
    sweep_id INTEGER NOT NULL REFERENCES sweeps (id),
    number INTEGER NOT NULL,
    agent_id INTEGER NOT NULL REFERENCES agents (id),
    run TEXT NOT NULL,
    PRIMARY KEY (sweep_id, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX proposals_of_agent ON proposals (agent_id);
