CREATE TABLE inline_hooks (
    -- Creation order, which is the order of lists.
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    org_id TEXT COLLATE "C" NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('ACTIVE', 'INACTIVE')),
    kind TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    -- The channel without headers, secret and hook key: JSON.
    channel TEXT COLLATE "C" NOT NULL,
    -- Headers with their values: JSON, sealed. NULL when there are none.
    headers BYTEA,
    -- The value of the authentication header or the client secret, sealed. NULL when the channel takes none.
    secret BYTEA,
    -- The hook key that signs for the channel. A key is used exactly while a row here names it, and the
    -- reference keeps it from being deleted.
    hook_key_id TEXT COLLATE "C",
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    UNIQUE (org_id, name),
    FOREIGN KEY (org_id, hook_key_id) REFERENCES hook_keys (org_id, id)
);
CREATE INDEX inline_hooks_hook_key ON inline_hooks (org_id, hook_key_id);
