-- Living with it: plans of what shall be deleted, retention, when something was last pulled, the scrub, snapshots.
--
-- Lists and figures that only programs read are JSON. Nothing here is touched by a push.

-- What a run intends to delete, and what became of it. Its id stands as `run_id` on every tombstone and line of tag
-- history that the run wrote, so that the whole run can be undone.
CREATE TABLE plans (
    id         TEXT    PRIMARY KEY,
    job        TEXT    NOT NULL CHECK (job IN ('gc', 'retention')),
    -- planning: steps are being written. waiting: needs confirmation. running: being applied, also after a restart.
    state      TEXT    NOT NULL CHECK (state IN ('planning', 'waiting', 'running', 'done', 'failed', 'discarded')),
    -- 1: only to be looked at, never applied.
    dry_run    INTEGER NOT NULL CHECK (dry_run IN (0, 1)),
    actor      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at   INTEGER,
    -- When a waiting plan is discarded.
    expires_at INTEGER,
    -- Why it waits, or why it failed.
    reason     TEXT,
    -- What was asked for: grace, undo, reconcile, rules.
    settings   TEXT    NOT NULL,
    -- What it would take and what waits until when.
    totals     TEXT    NOT NULL,
    -- What it took so far.
    progress   TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX plans_by_time ON plans (created_at);
CREATE INDEX plans_open ON plans (state) WHERE state IN ('planning', 'waiting', 'running');

-- One step of a plan, in the order of execution: what is named by others comes after those.
CREATE TABLE plan_steps (
    plan_id    TEXT    NOT NULL REFERENCES plans (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    -- tag: drop a tag. bury: make a manifest a tombstone. manifest, link, blob: remove for good.
    -- file: remove a file that has no row.
    action     TEXT    NOT NULL CHECK (action IN ('tag', 'bury', 'manifest', 'link', 'blob', 'file')),
    repository TEXT,
    tag        TEXT,
    digest     TEXT    NOT NULL,
    -- Bytes on disk that go when it is applied.
    bytes      INTEGER NOT NULL CHECK (bytes >= 0),
    reason     TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('planned', 'done', 'skipped')),
    -- Why it was skipped.
    detail     TEXT,
    PRIMARY KEY (plan_id, position)
) STRICT, WITHOUT ROWID;

-- Retention rules that were met in the configuration, by what they say: a new or changed one only reports until a
-- plan of it was confirmed.
CREATE TABLE retention_rules (
    fingerprint  TEXT    PRIMARY KEY,
    rule         TEXT    NOT NULL,
    first_seen_at INTEGER NOT NULL,
    confirmed_at INTEGER,
    confirmed_by TEXT
) STRICT, WITHOUT ROWID;

-- When a manifest was last pulled, to the minute; written beside the audit trail's count and dropped where it cannot be.
CREATE TABLE manifest_pulls (
    manifest_id INTEGER PRIMARY KEY REFERENCES manifests (id) ON DELETE CASCADE,
    pulled_at   INTEGER NOT NULL
) STRICT;

-- Passes of the scrub over everything, the newest with the highest id; the oldest go.
CREATE TABLE scrub_passes (
    id         INTEGER PRIMARY KEY,
    started_at INTEGER NOT NULL,
    -- Null while it runs, also over a restart.
    ended_at   INTEGER,
    blobs      INTEGER NOT NULL,
    manifests  INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    findings   INTEGER NOT NULL,
    -- What the disk did not let it read; it is tried again, also after the end of the pass.
    unreadable INTEGER NOT NULL
) STRICT;

-- Snapshots that the server has met in its folder. The files are the truth; a row tells that it was booked.
CREATE TABLE snapshots (
    name      TEXT    PRIMARY KEY,
    taken_at  INTEGER NOT NULL,
    booked_at INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,
    -- Null where it cannot be told.
    blobs     INTEGER,
    -- Null while it is sound; else why it cannot be relied on.
    trouble   TEXT
) STRICT, WITHOUT ROWID;

-- Few, as a rule, and looked for by time or run: deletes write them, pushes do not.
CREATE INDEX manifests_deleted ON manifests (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX manifests_by_run ON manifests (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX repository_blobs_by_run ON repository_blobs (run_id) WHERE run_id IS NOT NULL;
