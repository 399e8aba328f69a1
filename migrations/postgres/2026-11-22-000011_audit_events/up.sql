-- Who did what, and who was refused. A write and its row are one transaction. Old rows go: audit.retention.
CREATE TABLE audit_events (
    -- The order of commits: a row that is seen has none before it that is not.
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL,
    -- No reference: rows outlive their org. NULL when it is no org's.
    org_id TEXT COLLATE "C",
    at_ms BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL CHECK (outcome IN ('SUCCESS', 'FAILURE')),
    reason TEXT COLLATE "C",
    -- 'token', with its id and name, or 'command', with the user of the operating system as the name.
    actor TEXT COLLATE "C" NOT NULL,
    actor_id TEXT COLLATE "C",
    actor_name TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C",
    request_id TEXT COLLATE "C",
    -- What it was done to: JSON.
    targets TEXT COLLATE "C" NOT NULL
);
-- Pages of an org's rows; the time is there so that rows that are too old are passed over without being read.
CREATE INDEX audit_events_org ON audit_events (org_id, seq, at_ms);
