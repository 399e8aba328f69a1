-- Who did what, and who was refused. A write and its row are one transaction. Old rows go: audit.retention.
CREATE TABLE audit_events (
    -- The order of commits: a row that is seen has none before it that is not.
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    -- No reference: rows outlive their org. NULL when it is no org's.
    org_id TEXT,
    at_ms BIGINT NOT NULL,
    kind TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('SUCCESS', 'FAILURE')),
    reason TEXT,
    -- 'token', with its id and name, or 'command', with the user of the operating system as the name.
    actor TEXT NOT NULL,
    actor_id TEXT,
    actor_name TEXT NOT NULL,
    address TEXT,
    request_id TEXT,
    -- What it was done to: JSON.
    targets TEXT NOT NULL
);
-- Pages of an org's rows; the time is there so that rows that are too old are passed over without being read.
CREATE INDEX audit_events_org ON audit_events (org_id, seq, at_ms);
