-- The depot's tables. `user_version` is the version of this file; times are seconds since 1970 in UTC.

CREATE TABLE projects (
    id INTEGER PRIMARY KEY,
    entity TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at REAL NOT NULL,
    UNIQUE (entity, name)
) STRICT;

CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    display_name TEXT NOT NULL,
    state TEXT NOT NULL,
    config TEXT NOT NULL DEFAULT '{}',
    summary TEXT NOT NULL DEFAULT '{}',
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    heartbeat_at REAL NOT NULL,
    exit_code INTEGER,
    notes TEXT,
    description TEXT,
    tags TEXT NOT NULL DEFAULT '[]',
    run_group TEXT,
    job_type TEXT,
    host TEXT,
    program TEXT,
    commit_hash TEXT,
    repo TEXT,
    sweep TEXT,
    deleted_at REAL,
    UNIQUE (project_id, name)
) STRICT;

-- Neighbouring lines of a stream, compressed. Batches of one stream never overlap. AUTOINCREMENT: an id is never
-- used again, so that what was computed from a batch may be kept under its id.
CREATE TABLE batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    stream TEXT NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    size INTEGER NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (run_id, stream, first)
) STRICT;

CREATE TABLE files (
    run_id INTEGER NOT NULL REFERENCES runs (id),
    name TEXT NOT NULL,
    blob TEXT NOT NULL,
    size INTEGER NOT NULL,
    md5 TEXT NOT NULL,
    updated_at REAL NOT NULL,
    PRIMARY KEY (run_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE alerts (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    severity TEXT NOT NULL,
    created_at REAL NOT NULL
) STRICT;

-- A named series of artifact versions, all of one type.
CREATE TABLE collections (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    created_at REAL NOT NULL,
    UNIQUE (project_id, name)
) STRICT;

-- A version. Until it is committed it has no number and shows nowhere; `wanted` are the aliases it gets then.
CREATE TABLE artifacts (
    id INTEGER PRIMARY KEY,
    collection_id INTEGER NOT NULL REFERENCES collections (id),
    run_id INTEGER REFERENCES runs (id),
    client_id TEXT,
    digest TEXT NOT NULL,
    committed INTEGER NOT NULL DEFAULT 0,
    version INTEGER,
    description TEXT,
    metadata TEXT,
    history_step INTEGER,
    wanted TEXT NOT NULL,
    size INTEGER NOT NULL DEFAULT 0,
    file_count INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    UNIQUE (collection_id, version)
) STRICT;

CREATE INDEX artifacts_by_client ON artifacts (client_id);

CREATE TABLE aliases (
    collection_id INTEGER NOT NULL REFERENCES collections (id),
    alias TEXT NOT NULL,
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id),
    PRIMARY KEY (collection_id, alias)
) STRICT, WITHOUT ROWID;

-- The list of an artifact's entries: the MD5 (base64) that it must have, and its bytes once they came.
CREATE TABLE manifests (
    id INTEGER PRIMARY KEY,
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id),
    digest TEXT NOT NULL,
    blob TEXT,
    size INTEGER
) STRICT;

-- What artifact files hold, once per project, by MD5 (hexadecimal). `artifact_id` is the version that brought it.
CREATE TABLE contents (
    project_id INTEGER NOT NULL REFERENCES projects (id),
    md5 TEXT NOT NULL,
    blob TEXT NOT NULL,
    size INTEGER NOT NULL,
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id),
    PRIMARY KEY (project_id, md5)
) STRICT, WITHOUT ROWID;

CREATE TABLE uses (
    run_id INTEGER NOT NULL REFERENCES runs (id),
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id),
    PRIMARY KEY (run_id, artifact_id)
) STRICT, WITHOUT ROWID;
