CREATE TABLE hook_keys (
    -- Creation order, which is the order of lists.
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    key_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    -- The public half: the JWK member n. The exponent is always 65537.
    modulus TEXT NOT NULL,
    -- The private half: PKCS#8, sealed.
    private_key BLOB NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    UNIQUE (org_id, name),
    -- What hooks refer to, so that no hook can name another org's key.
    UNIQUE (org_id, id)
);
