-- Version 2: people beside the operator. A key is kept as its SHA-256 (keys are random and long, so that no salt is
-- needed). `runs.user` is who opened the run first; NULL where nobody noted it.

CREATE TABLE users (
    name TEXT PRIMARY KEY,
    key_hash BLOB NOT NULL UNIQUE,
    admin INTEGER NOT NULL,
    created_at REAL NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE runs ADD COLUMN user TEXT;
