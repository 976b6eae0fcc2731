-- Version 3: what people may do. A user sees the entity of their own name and those of their teams; an admin all.

ALTER TABLE users ADD COLUMN role TEXT NOT NULL DEFAULT 'member' CHECK (role IN ('admin', 'member', 'viewer'));
UPDATE users SET role = 'admin' WHERE admin;
ALTER TABLE users DROP COLUMN admin;

CREATE TABLE teams (
    user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    entity TEXT NOT NULL,
    PRIMARY KEY (user, entity)
) STRICT, WITHOUT ROWID;
