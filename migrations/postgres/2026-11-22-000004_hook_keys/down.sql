DROP TABLE hook_keys;
