-- Who may do what: policy rules, API tokens, logins that were ended; and ways into the audit trail.
--
-- Lists are JSON arrays of texts. Words (actions, kinds of account) are not checked here: the program reads them at
-- its start and refuses to serve with a rule that it does not understand.

-- Rules beside the built-in ones, which have negative numbers and no rows. Numbers are never used again, since the
-- audit trail names them.
CREATE TABLE policy_rules (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    priority      INTEGER NOT NULL CHECK (priority BETWEEN 1 AND 4294967295),
    description   TEXT    NOT NULL,
    effect        TEXT    NOT NULL CHECK (effect IN ('allow', 'deny')),
    actions       TEXT    NOT NULL,
    roles         TEXT    NOT NULL,
    account_types TEXT    NOT NULL,
    -- Null matches every account.
    subject       TEXT,
    repositories  TEXT    NOT NULL,
    enabled       INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    created_by    TEXT    NOT NULL
) STRICT;

-- Tokens that an account made for its programs. The secret itself is nowhere, only what it hashes to.
CREATE TABLE api_tokens (
    id            TEXT    PRIMARY KEY,
    name          TEXT    NOT NULL,
    -- The account as it was when the token was made: name, what rules know it by, kind, roles.
    owner         TEXT    NOT NULL,
    subject       TEXT    NOT NULL,
    account_type  TEXT    NOT NULL,
    roles         TEXT    NOT NULL,
    actions       TEXT    NOT NULL,
    repositories  TEXT    NOT NULL,
    -- SHA-256 of the secret, as lower-case hex.
    secret_hash   TEXT    NOT NULL CHECK (length(secret_hash) = 64),
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    -- Written at most once a minute, and dropped where it cannot be.
    last_used_at  INTEGER,
    revoked_at    INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX api_tokens_by_owner ON api_tokens (subject);

-- Logins that were ended before their time, until they would have ended by themselves.
CREATE TABLE revoked_sessions (
    jti   TEXT    PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX revoked_sessions_by_end ON revoked_sessions (until);

-- Where a time lies in the trail. No others: every push adds five rows, and each further index cost pushes of small
-- images two to three percent, while who looks through the trail can wait for a look at every row.
CREATE INDEX audit_by_time ON audit (at);
