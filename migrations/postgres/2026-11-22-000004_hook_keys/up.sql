CREATE TABLE hook_keys (
    -- Creation order, which is the order of lists.
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    org_id TEXT COLLATE "C" NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    key_id TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    -- The public half: the JWK member n. The exponent is always 65537.
    modulus TEXT COLLATE "C" NOT NULL,
    -- The private half: PKCS#8, sealed.
    private_key BYTEA NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    UNIQUE (org_id, name),
    -- What hooks refer to, so that no hook can name another org's key.
    UNIQUE (org_id, id)
);
