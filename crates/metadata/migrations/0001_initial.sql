-- The first schema of the registry's database.
--
-- Times are Unix milliseconds. Digests are text (`sha256:<hex>`). Every table is STRICT; every reference that a
-- reader may follow is a foreign key with ON DELETE RESTRICT, so that an orphan index cannot be written down.
-- A tombstone is a `deleted_at`: the row answers 404 at once, holds its content, and a push lifts it.
-- `unreferenced_since` is null while something live refers to the row, else the time the last such reference went
-- or the end of the last promise made about it, whichever is later: the collector counts from there.

-- What the database says about itself: `registry_id`.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE repositories (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 255),
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;

-- One row per blob file. Size, inode and times are the file's as of the moment its bytes last hashed to the digest.
CREATE TABLE blobs (
    id                 INTEGER PRIMARY KEY,
    digest             TEXT    NOT NULL UNIQUE,
    size               INTEGER NOT NULL CHECK (size >= 0),
    state              TEXT    NOT NULL CHECK (state IN ('sound', 'quarantined', 'missing')),
    state_since        INTEGER NOT NULL,
    inode              INTEGER NOT NULL,
    mtime_ns           INTEGER NOT NULL,
    ctime_ns           INTEGER NOT NULL,
    hashed_at          INTEGER NOT NULL,
    scrub_requested_at INTEGER,
    created_at         INTEGER NOT NULL
) STRICT;

-- Empty while nothing is wrong: "is anything damaged at all?" costs one look.
CREATE INDEX blobs_unsound ON blobs (state) WHERE state <> 'sound';
CREATE INDEX blobs_scrub_requested ON blobs (scrub_requested_at) WHERE scrub_requested_at IS NOT NULL;

-- A repository holds a blob only through its link.
CREATE TABLE repository_blobs (
    repository_id      INTEGER NOT NULL REFERENCES repositories (id) ON DELETE RESTRICT,
    blob_id            INTEGER NOT NULL REFERENCES blobs (id) ON DELETE RESTRICT,
    linked_at          INTEGER NOT NULL,
    unreferenced_since INTEGER,
    deleted_at         INTEGER,
    run_id             TEXT,
    PRIMARY KEY (repository_id, blob_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX repository_blobs_by_blob ON repository_blobs (blob_id);

CREATE TABLE manifests (
    id                 INTEGER PRIMARY KEY,
    repository_id      INTEGER NOT NULL REFERENCES repositories (id) ON DELETE RESTRICT,
    digest             TEXT    NOT NULL,
    media_type         TEXT    NOT NULL,
    kind               TEXT    NOT NULL CHECK (kind IN ('image', 'index')),
    size               INTEGER NOT NULL CHECK (size >= 0),
    artifact_type      TEXT,
    -- Weak on purpose: a subject may never arrive. Looked up, never followed by a key.
    subject            TEXT,
    state              TEXT    NOT NULL CHECK (state IN ('sound', 'corrupt')),
    hashed_at          INTEGER NOT NULL,
    pushed_at          INTEGER NOT NULL,
    unreferenced_since INTEGER,
    deleted_at         INTEGER,
    run_id             TEXT,
    UNIQUE (repository_id, digest),
    -- The parent key of edges and tags: both can only point into their own repository.
    UNIQUE (repository_id, id)
) STRICT;

CREATE INDEX manifests_live ON manifests (repository_id) WHERE deleted_at IS NULL;
CREATE INDEX manifests_by_subject ON manifests (repository_id, subject, digest) WHERE subject IS NOT NULL;
CREATE INDEX manifests_unsound ON manifests (state) WHERE state <> 'sound';

-- Apart from `manifests`, because an update rewrites its whole row and bytes never change.
CREATE TABLE manifest_contents (
    manifest_id INTEGER PRIMARY KEY REFERENCES manifests (id) ON DELETE CASCADE,
    -- A JSON object, for the referrers list; null where there is no subject.
    annotations TEXT,
    bytes       BLOB    NOT NULL
) STRICT;

-- One row per descriptor of a manifest. A row keeps digest, size and type whatever happens to its target.
CREATE TABLE edges (
    manifest_id     INTEGER NOT NULL,
    position        INTEGER NOT NULL,
    repository_id   INTEGER NOT NULL,
    kind            TEXT    NOT NULL CHECK (kind IN ('child', 'config', 'layer')),
    -- What may stand behind the digest: a child of a type that is no manifest's may be either.
    wants           TEXT    NOT NULL CHECK (wants IN ('manifest', 'blob', 'either')),
    digest          TEXT    NOT NULL,
    size            INTEGER NOT NULL CHECK (size >= 0),
    media_type      TEXT    NOT NULL,
    platform        TEXT,
    -- 1: absence is no finding (foreign layers, sparse indexes, caches); only then may both targets be null.
    weak            INTEGER NOT NULL CHECK (weak IN (0, 1)),
    target_manifest INTEGER,
    target_blob     INTEGER,
    PRIMARY KEY (manifest_id, position),
    CHECK (weak = 1 OR target_manifest IS NOT NULL OR target_blob IS NOT NULL),
    CHECK (target_manifest IS NULL OR target_blob IS NULL),
    FOREIGN KEY (repository_id, manifest_id) REFERENCES manifests (repository_id, id) ON DELETE CASCADE,
    FOREIGN KEY (repository_id, target_manifest) REFERENCES manifests (repository_id, id) ON DELETE RESTRICT,
    FOREIGN KEY (repository_id, target_blob) REFERENCES repository_blobs (repository_id, blob_id) ON DELETE RESTRICT
) STRICT, WITHOUT ROWID;

CREATE INDEX edges_to_manifest ON edges (repository_id, target_manifest) WHERE target_manifest IS NOT NULL;
CREATE INDEX edges_to_blob ON edges (repository_id, target_blob) WHERE target_blob IS NOT NULL;
-- Edges whose target is awaited: a push of that digest fills them.
CREATE INDEX edges_awaiting ON edges (repository_id, digest) WHERE target_manifest IS NULL AND target_blob IS NULL;

CREATE TABLE tags (
    repository_id INTEGER NOT NULL,
    name          TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    manifest_id   INTEGER NOT NULL,
    -- When it last came to point at another manifest.
    moved_at      INTEGER NOT NULL,
    PRIMARY KEY (repository_id, name),
    FOREIGN KEY (repository_id, manifest_id) REFERENCES manifests (repository_id, id) ON DELETE RESTRICT
) STRICT, WITHOUT ROWID;

CREATE INDEX tags_by_manifest ON tags (repository_id, manifest_id);

-- Every move of a tag: `previous` is null where it began, `current` where it was deleted.
CREATE TABLE tag_history (
    id            INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE RESTRICT,
    tag           TEXT    NOT NULL,
    at            INTEGER NOT NULL,
    actor         TEXT    NOT NULL,
    previous      TEXT,
    current       TEXT,
    -- The run (retention, undo) that did it, so that a whole run can be undone.
    run_id        TEXT
) STRICT;

CREATE INDEX tag_history_by_tag ON tag_history (repository_id, tag, id);
CREATE INDEX tag_history_by_run ON tag_history (run_id) WHERE run_id IS NOT NULL;

-- What was found wrong, and when it was put right. The columns are a finding's keys.
CREATE TABLE findings (
    id         INTEGER PRIMARY KEY,
    kind       TEXT    NOT NULL,
    digest     TEXT,
    media_type TEXT,
    size       INTEGER,
    repository TEXT,
    tag        TEXT,
    path       TEXT    NOT NULL,
    platform   TEXT,
    status     INTEGER,
    detail     TEXT,
    opened_at  INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    closed_at  INTEGER
) STRICT;

CREATE INDEX findings_open ON findings (digest) WHERE closed_at IS NULL;

-- Append-only and chained: hash = sha256(previous || canonical JSON of the row), as lower-case hex.
CREATE TABLE audit (
    seq        INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    event      TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    address    TEXT,
    repository TEXT,
    tag        TEXT,
    digest     TEXT,
    details    TEXT    NOT NULL,
    previous   TEXT    NOT NULL,
    hash       TEXT    NOT NULL
) STRICT;

-- Ageing out cuts a prefix; what it cut up to stays here, signed.
CREATE TABLE audit_anchors (
    seq       INTEGER PRIMARY KEY,
    hash      TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    signature TEXT    NOT NULL
) STRICT;

CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit rows are never changed');
END;

CREATE TRIGGER audit_goes_only_behind_an_anchor BEFORE DELETE ON audit
WHEN NOT EXISTS (SELECT 1 FROM audit_anchors WHERE audit_anchors.seq >= OLD.seq)
BEGIN
    SELECT RAISE(ABORT, 'audit rows go only behind an anchor');
END;
