-- Who uses which hook key. A key is used exactly while a row here names it, and while it is, the reference
-- keeps the key from being deleted.
CREATE TABLE inline_hooks (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    hook_key_id TEXT,
    UNIQUE (org_id, name),
    FOREIGN KEY (org_id, hook_key_id) REFERENCES hook_keys (org_id, id)
);
CREATE INDEX inline_hooks_hook_key ON inline_hooks (org_id, hook_key_id);
