-- Version 10: files of runs that clients bring to the object store themselves. `asked` counts the addresses that were
-- given, `taken` the objects that were found at them; `seen` tells the last of these from the next one.
CREATE TABLE awaited (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    name TEXT NOT NULL,
    asked INTEGER NOT NULL,
    taken INTEGER NOT NULL DEFAULT 0,
    seen TEXT,
    expires_at REAL NOT NULL,
    UNIQUE (run_id, name)
) STRICT;

CREATE INDEX awaited_still ON awaited (run_id) WHERE taken < asked;
CREATE INDEX awaited_until ON awaited (expires_at);
