-- Version 2: people beside the operator. A key is kept as its SHA-256 (keys are random and long, so that no salt is
-- needed). `runs.user` is who opened the run first; NULL where nobody noted it.

CREATE TABLE users (
    name TEXT PRIMARY KEY,
    key_hash BLOB NOT NULL UNIQUE,
    admin INTEGER NOT NULL,
    created_at REAL NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE runs ADD COLUMN user TEXT;

-- A portfolio holds links to versions of other collections, each under a number of its own.
ALTER TABLE collections ADD COLUMN portfolio INTEGER NOT NULL DEFAULT 0;
ALTER TABLE collections ADD COLUMN description TEXT;
ALTER TABLE collections ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';

CREATE TABLE links (
    id INTEGER PRIMARY KEY,
    collection_id INTEGER NOT NULL REFERENCES collections (id),
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id),
    version INTEGER NOT NULL,
    created_at REAL NOT NULL,
    UNIQUE (collection_id, artifact_id),
    UNIQUE (collection_id, version)
) STRICT;

CREATE INDEX links_of_artifact ON links (artifact_id);
CREATE INDEX aliases_of_artifact ON aliases (artifact_id);

-- A deleted version keeps its row, so that its number is not given again. `ttl` is in seconds, NULL where none was set.
ALTER TABLE artifacts ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE artifacts ADD COLUMN ttl INTEGER;
ALTER TABLE artifacts ADD COLUMN deleted_at REAL;

-- What a manifest is laid upon: an incremental one adds to that of another version.
ALTER TABLE manifests ADD COLUMN kind TEXT NOT NULL DEFAULT 'FULL';
ALTER TABLE manifests ADD COLUMN base_id INTEGER REFERENCES artifacts (id);

-- How many history lines a client was told when it opened the run again; see `resent`.
ALTER TABLE runs ADD COLUMN reopened_at_line INTEGER;

-- Versions that a run brought again: they were here already, by another run.
CREATE TABLE logged (
    run_id INTEGER NOT NULL REFERENCES runs (id),
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id),
    PRIMARY KEY (run_id, artifact_id)
) STRICT, WITHOUT ROWID;

-- Somebody asked the run to stop; its client hears of it with the next answer to its lines.
ALTER TABLE runs ADD COLUMN stop_requested INTEGER NOT NULL DEFAULT 0;
