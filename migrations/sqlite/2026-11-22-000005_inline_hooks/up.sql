CREATE TABLE inline_hooks (
    -- Creation order, which is the order of lists.
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('ACTIVE', 'INACTIVE')),
    kind TEXT NOT NULL,
    version TEXT NOT NULL,
    -- The channel without headers, secret and hook key: JSON.
    channel TEXT NOT NULL,
    -- Headers with their values: JSON, sealed. NULL when there are none.
    headers BLOB,
    -- The value of the authentication header or the client secret, sealed. NULL when the channel takes none.
    secret BLOB,
    -- The hook key that signs for the channel. A key is used exactly while a row here names it, and the
    -- reference keeps it from being deleted.
    hook_key_id TEXT,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    UNIQUE (org_id, name),
    FOREIGN KEY (org_id, hook_key_id) REFERENCES hook_keys (org_id, id)
);
CREATE INDEX inline_hooks_hook_key ON inline_hooks (org_id, hook_key_id);
