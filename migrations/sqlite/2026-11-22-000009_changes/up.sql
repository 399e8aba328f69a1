-- What was written, in the order of commits, so that other processes learn of it. One row a write, in its
-- transaction; old rows go.
CREATE TABLE changes (
    rev INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    -- No reference: the row that tells of a deleted org outlives it. NULL when it is no org's.
    org_id TEXT,
    -- The table that holds it, or held it.
    entity TEXT NOT NULL,
    id TEXT NOT NULL
);
