-- Version 5. What is known of neighbouring lines, made of their batches at leisure; it goes when one of these lines changes.
CREATE TABLE stretches (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    stream TEXT NOT NULL,
    first INTEGER NOT NULL,
    stop INTEGER NOT NULL,
    lowest_step INTEGER NOT NULL,
    highest_step INTEGER NOT NULL,
    facts TEXT NOT NULL,
    UNIQUE (run_id, stream, first)
) STRICT;

-- The numbers of one key in a stretch, for charts.
CREATE TABLE stretch_columns (
    stretch_id INTEGER NOT NULL REFERENCES stretches (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (stretch_id, key)
) STRICT;
