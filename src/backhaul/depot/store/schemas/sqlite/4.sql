-- Version 4: bytes of artifacts that come in parts. `md5` is that of the whole, `parts` a JSON list of those of the
-- parts in their order. AUTOINCREMENT: an address that was made for an upload never fits a later one.

CREATE TABLE uploads (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id),
    md5 TEXT NOT NULL,
    parts TEXT NOT NULL,
    expires_at REAL NOT NULL,
    UNIQUE (artifact_id, md5)
) STRICT;

-- A part that came, by its number from 1.
CREATE TABLE upload_parts (
    upload_id INTEGER NOT NULL REFERENCES uploads (id),
    number INTEGER NOT NULL,
    blob TEXT NOT NULL,
    PRIMARY KEY (upload_id, number)
) STRICT, WITHOUT ROWID;
