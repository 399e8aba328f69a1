CREATE TABLE key_sets (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    -- Clients may choose it, so it is unique in its org only: one org must not learn of another's ids.
    id TEXT NOT NULL,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name TEXT,
    -- A JSON list, in the order given. NULL when there is none, which differs from an empty one.
    tags TEXT,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    UNIQUE (org_id, id),
    UNIQUE (org_id, name)
);
