CREATE TABLE api_tokens (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    org_id TEXT COLLATE "C" NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,
    -- SHA-256 of the token; the token itself is stored nowhere.
    digest BYTEA NOT NULL UNIQUE CHECK (length(digest) = 32),
    -- Names with a blank between them, or 'all'.
    permissions TEXT COLLATE "C" NOT NULL,
    created_ms BIGINT NOT NULL,
    last_used_ms BIGINT,
    -- Exactly one of the two: a span from the last use, or a fixed end.
    idle_ms BIGINT,
    expires_ms BIGINT,
    revoked_ms BIGINT,
    CHECK ((idle_ms IS NULL) <> (expires_ms IS NULL))
);
CREATE INDEX api_tokens_org ON api_tokens (org_id);
