DROP TABLE inline_hooks;
