-- Hosts that were declared dead and have not come back.
CREATE TABLE deaths (
    host TEXT PRIMARY KEY,
    -- How it is known, and when it was declared.
    document TEXT NOT NULL
);
