CREATE TABLE keys (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Clients may choose it, so it is unique in its org only.
    id TEXT COLLATE "C" NOT NULL,
    org_id TEXT COLLATE "C" NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    set_id TEXT COLLATE "C",
    name TEXT COLLATE "C",
    kid TEXT COLLATE "C" NOT NULL,
    -- The JWK without its private members; as it was sent when it has none. NULL when the key is a PEM.
    jwk TEXT COLLATE "C",
    -- The public half as PEM, as it was sent.
    pem_public TEXT COLLATE "C",
    -- A vault reference in the place of the private half as PEM.
    pem_reference TEXT COLLATE "C",
    -- What holds the private half, as it was sent: the whole JWK, or the private PEM. Sealed.
    private_key BYTEA,
    tags TEXT COLLATE "C",
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    UNIQUE (org_id, id),
    UNIQUE (org_id, name),
    UNIQUE (org_id, set_id, kid),
    FOREIGN KEY (org_id, set_id) REFERENCES key_sets (org_id, id) ON DELETE CASCADE
);
-- The kid of keys without a set; the constraint above does not cover NULL.
CREATE UNIQUE INDEX keys_kid_without_set ON keys (org_id, kid) WHERE set_id IS NULL;
-- The order of the list of a set's keys.
CREATE INDEX keys_of_set ON keys (org_id, set_id, id);
