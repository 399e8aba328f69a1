-- What was written, in the order of commits, so that other processes learn of it. One row a write, in its
-- transaction; old rows go.
CREATE TABLE changes (
    rev BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- No reference: the row that tells of a deleted org outlives it. NULL when it is no org's.
    org_id TEXT COLLATE "C",
    -- The table that holds it, or held it.
    entity TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL
);
