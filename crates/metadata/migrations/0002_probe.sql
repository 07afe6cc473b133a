-- What the probe saw: its runs, what the last complete one found, and each tag as it was last looked at.
--
-- Names are text here and no keys: these rows tell what was seen, also of what has gone since, and hold nothing.

-- Every run with its outcome, the newest with the highest id; the oldest go.
CREATE TABLE probe_runs (
    id                 INTEGER PRIMARY KEY,
    started_at         INTEGER NOT NULL,
    ended_at           INTEGER NOT NULL,
    duration_ms        INTEGER NOT NULL CHECK (duration_ms >= 0),
    level              TEXT    NOT NULL CHECK (level IN ('head', 'tail', 'full')),
    outcome            TEXT    NOT NULL CHECK (outcome IN ('complete', 'incomplete')),
    -- Why it is incomplete.
    reason             TEXT,
    -- Whether the catalog could be read; null where the run ended before that was known.
    catalog_accessible INTEGER CHECK (catalog_accessible IN (0, 1)),
    repositories       INTEGER NOT NULL CHECK (repositories >= 0),
    tags               INTEGER NOT NULL CHECK (tags >= 0),
    indexes            INTEGER NOT NULL CHECK (indexes >= 0),
    findings           INTEGER NOT NULL CHECK (findings >= 0),
    broken_tags        INTEGER NOT NULL CHECK (broken_tags >= 0),
    undetermined       INTEGER NOT NULL CHECK (undetermined >= 0),
    CHECK ((outcome = 'complete') = (reason IS NULL))
) STRICT;

CREATE INDEX probe_runs_complete ON probe_runs (id) WHERE outcome = 'complete';
CREATE INDEX probe_runs_catalog ON probe_runs (id) WHERE catalog_accessible IS NOT NULL;

-- What the last complete run found.
CREATE TABLE probe_findings (
    id         INTEGER PRIMARY KEY,
    repository TEXT    NOT NULL,
    -- Null where it is about the repository as a whole.
    tag        TEXT,
    kind       TEXT    NOT NULL,
    -- When a run first met this kind at this tag; it has been there in every complete run since.
    since      INTEGER NOT NULL,
    -- JSON in the shape of a finding.
    finding    TEXT    NOT NULL
) STRICT;

-- Each tag as the last complete run saw it.
CREATE TABLE probe_tags (
    repository      TEXT    NOT NULL,
    tag             TEXT    NOT NULL,
    digest          TEXT,
    state           TEXT    NOT NULL CHECK (state IN ('sound', 'broken', 'undetermined')),
    findings        INTEGER NOT NULL CHECK (findings >= 0),
    checked_at      INTEGER NOT NULL,
    -- The last time it was sound, whatever it pointed at then.
    last_seen_whole INTEGER,
    PRIMARY KEY (repository, tag)
) STRICT, WITHOUT ROWID;

-- Few, as a rule: what is broken is listed without a look at what is not.
CREATE INDEX probe_tags_broken ON probe_tags (repository, tag) WHERE state = 'broken';
