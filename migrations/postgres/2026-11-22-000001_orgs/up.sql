-- Tenants. Everything below belongs to one org and goes with it.
CREATE TABLE orgs (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    -- Most hook keys the org may have; NULL follows the setting limits.hook_keys_per_org.
    hook_key_limit BIGINT CHECK (hook_key_limit >= 0),
    created_ms BIGINT NOT NULL
);
