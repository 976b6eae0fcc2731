-- Every statement that a queue makes, in SQL that SQLite and PostgreSQL understand alike (`room` is SQLite's alone,
-- `lock`, `bounds` and `now` are PostgreSQL's). A line of two dashes and one word begins a query of that name; a word after a
-- colon is a parameter.

-- create_runs
CREATE TABLE IF NOT EXISTS backhaul_runs (
    host        TEXT NOT NULL,               -- who alone can read the log; empty: any host
    log         TEXT NOT NULL CHECK (substr(log, 1, 1) IN ('/', 'f')),
    run         TEXT NOT NULL,               -- the run id: parts of one run are in one hand
    to_url      TEXT NOT NULL,
    entity      TEXT NOT NULL,
    project     TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (
        state IN ('recording', 'pending', 'sending', 'blocked', 'verified', 'quarantined', 'dropped')
    ),
    size        BIGINT NOT NULL,             -- of the log that was looked at
    mtime_ns    BIGINT NOT NULL,
    due_at      DOUBLE PRECISION NOT NULL,
    attempts    INTEGER NOT NULL,
    crashes     INTEGER NOT NULL,
    asked       BIGINT NOT NULL,
    paused      INTEGER NOT NULL,
    queued_at   DOUBLE PRECISION NOT NULL,
    owner       TEXT NOT NULL,
    lease_until DOUBLE PRECISION NOT NULL,
    code        TEXT NOT NULL,
    message     TEXT NOT NULL,
    next_step   TEXT NOT NULL,
    PRIMARY KEY (host, log)
)

-- create_runs_due
CREATE INDEX IF NOT EXISTS backhaul_runs_due ON backhaul_runs (state, due_at)

-- create_runs_run
CREATE INDEX IF NOT EXISTS backhaul_runs_run ON backhaul_runs (run)

-- create_workers
CREATE TABLE IF NOT EXISTS backhaul_workers (
    owner    TEXT PRIMARY KEY,
    began_at DOUBLE PRECISION NOT NULL,
    seen_at  DOUBLE PRECISION NOT NULL,
    words    TEXT NOT NULL
)

-- create_facts
CREATE TABLE IF NOT EXISTS backhaul_facts (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
)

-- fact
SELECT value FROM backhaul_facts WHERE name = :name

-- put_fact
INSERT INTO backhaul_facts (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- run
SELECT * FROM backhaul_runs WHERE host = :host AND log = :log

-- runs
SELECT * FROM backhaul_runs ORDER BY queued_at, log

-- runs_as_they_lie
SELECT * FROM backhaul_runs

-- put_run
INSERT INTO backhaul_runs (
    host, log, run, to_url, entity, project, state, size, mtime_ns, due_at, attempts, crashes, asked, paused, queued_at,
    owner, lease_until, code, message, next_step
) VALUES (
    :host, :log, :run, :to_url, :entity, :project, :state, :size, :mtime_ns, :due_at, :attempts, :crashes, :asked,
    :paused, :queued_at, :owner, :lease_until, :code, :message, :next_step
) ON CONFLICT (host, log) DO UPDATE SET
    run = excluded.run, to_url = excluded.to_url, entity = excluded.entity, project = excluded.project,
    state = excluded.state, size = excluded.size, mtime_ns = excluded.mtime_ns, due_at = excluded.due_at,
    attempts = excluded.attempts, crashes = excluded.crashes, asked = excluded.asked, paused = excluded.paused,
    queued_at = excluded.queued_at, owner = excluded.owner, lease_until = excluded.lease_until, code = excluded.code,
    message = excluded.message, next_step = excluded.next_step

-- delete_run
DELETE FROM backhaul_runs WHERE host = :host AND log = :log

-- due
SELECT * FROM backhaul_runs AS mine
WHERE mine.paused = 0
  AND mine.host IN ('', :host)
  AND ((mine.state IN ('pending', 'blocked') AND mine.due_at <= :now)
       OR (mine.state = 'sending' AND mine.lease_until <= :now AND mine.owner <> :owner))
  AND NOT EXISTS (
      SELECT 1 FROM backhaul_runs AS other
      WHERE other.run = mine.run AND other.state = 'sending' AND other.lease_until > :now
  )
ORDER BY mine.due_at, mine.log
LIMIT :most

-- extend
UPDATE backhaul_runs SET lease_until = :until WHERE owner = :owner AND state = 'sending'

-- in_hand
SELECT * FROM backhaul_runs WHERE owner = :owner AND state = 'sending'

-- put_worker
INSERT INTO backhaul_workers (owner, began_at, seen_at, words) VALUES (:owner, :now, :now, :words)
ON CONFLICT (owner) DO UPDATE SET seen_at = excluded.seen_at, words = excluded.words

-- workers
SELECT owner, began_at, seen_at, words FROM backhaul_workers ORDER BY began_at, owner

-- delete_worker
DELETE FROM backhaul_workers WHERE owner = :owner

-- delete_workers_before
DELETE FROM backhaul_workers WHERE seen_at < :before

-- bounds
SELECT set_config('idle_in_transaction_session_timeout', :idle, false), set_config('lock_timeout', :turn, false)

-- lock
SELECT pg_advisory_xact_lock(7129104155003212)

-- now
SELECT EXTRACT(EPOCH FROM clock_timestamp()) AS now

-- create_room
CREATE TABLE room (filling BLOB)

-- fill_room
INSERT INTO room VALUES (zeroblob(:size))

-- turn_over_room
UPDATE room SET filling = randomblob(:size)

-- drop_room
DROP TABLE room
