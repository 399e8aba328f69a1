-- Every tag of every key and key set, for filters and for the list of tags. Exactly one of the two ids is set.
CREATE TABLE tags (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id TEXT COLLATE "C" NOT NULL,
    key_id TEXT COLLATE "C",
    set_id TEXT COLLATE "C",
    tag TEXT COLLATE "C" NOT NULL,
    CHECK ((key_id IS NULL) <> (set_id IS NULL)),
    FOREIGN KEY (org_id, key_id) REFERENCES keys (org_id, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, set_id) REFERENCES key_sets (org_id, id) ON DELETE CASCADE
);
CREATE INDEX tags_of_key ON tags (org_id, key_id);
CREATE INDEX tags_of_set ON tags (org_id, set_id);
CREATE INDEX tags_by_tag ON tags (org_id, tag);
