-- Where hosts of this machine have their folders, so that nobody has to say it again.
CREATE TABLE places (
    host TEXT PRIMARY KEY,
    folder TEXT NOT NULL,
    -- Whether a storage must be mounted there.
    mounted INTEGER NOT NULL
);
