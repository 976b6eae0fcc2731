-- Version 9: addresses that sign a browser in and were used, so that none works twice, whenever the depot started.
CREATE TABLE used_tickets (
    ticket TEXT PRIMARY KEY,
    expires_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
