-- Data keys, each sealed by the master key. Values name the term they were sealed under.
CREATE TABLE keyring (
    term INTEGER NOT NULL PRIMARY KEY CHECK (term > 0),
    wrapped BYTEA NOT NULL,
    created_ms BIGINT NOT NULL
);
