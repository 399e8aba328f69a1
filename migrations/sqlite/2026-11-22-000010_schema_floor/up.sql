-- The oldest migration that a program must know to run on this database: a program that knows it and lacks later
-- ones may run, because they only add. A migration that removes something raises it.
CREATE TABLE schema_floor (
    version TEXT NOT NULL PRIMARY KEY
);
INSERT INTO schema_floor (version) VALUES ('20261122000010');
