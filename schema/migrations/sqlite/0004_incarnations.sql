-- Each time a process took the store to conduct. A host carries the one that last used it: where the store has never had
-- it, the store is older than the host, or a copy.
CREATE TABLE incarnations (
    number INTEGER PRIMARY KEY,
    nonce TEXT NOT NULL,
    begun_at TEXT NOT NULL
);
