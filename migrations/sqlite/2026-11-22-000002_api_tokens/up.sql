CREATE TABLE api_tokens (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    -- SHA-256 of the token; the token itself is stored nowhere.
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    -- Names with a blank between them, or 'all'.
    permissions TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    last_used_ms BIGINT,
    -- Exactly one of the two: a span from the last use, or a fixed end.
    idle_ms BIGINT,
    expires_ms BIGINT,
    revoked_ms BIGINT,
    CHECK ((idle_ms IS NULL) <> (expires_ms IS NULL))
);
CREATE INDEX api_tokens_org ON api_tokens (org_id);
