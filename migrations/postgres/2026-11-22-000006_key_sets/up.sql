CREATE TABLE key_sets (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Clients may choose it, so it is unique in its org only: one org must not learn of another's ids.
    id TEXT COLLATE "C" NOT NULL,
    org_id TEXT COLLATE "C" NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name TEXT COLLATE "C",
    -- A JSON list, in the order given. NULL when there is none, which differs from an empty one.
    tags TEXT COLLATE "C",
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    UNIQUE (org_id, id),
    UNIQUE (org_id, name)
);
