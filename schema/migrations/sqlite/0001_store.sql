-- What the fleet document says that no migration changes: defaults, flavors, server groups, racks.
CREATE TABLE fleet (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    document TEXT NOT NULL,
    changed_at TEXT NOT NULL
);

CREATE TABLE hosts (
    name TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    -- The most that may be claimed by class: the capacity, or what was claimed already when the fleet was taken over.
    ceiling TEXT NOT NULL,
    -- Counts the changes of its claims: whoever adds to them compares it first.
    generation INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE instances (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL REFERENCES hosts (name),
    flavor TEXT NOT NULL,
    claim TEXT NOT NULL,
    own_claim INTEGER NOT NULL,
    document TEXT NOT NULL
);

-- One row for each instance on each host it has room on: two while it moves.
CREATE TABLE claims (
    host TEXT NOT NULL REFERENCES hosts (name),
    instance TEXT NOT NULL REFERENCES instances (id),
    amounts TEXT NOT NULL,
    PRIMARY KEY (host, instance)
);

CREATE TABLE plans (
    id TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    begun_at TEXT NOT NULL
);

-- The columns are what is searched and compared; the document is the whole record.
CREATE TABLE migrations (
    id TEXT PRIMARY KEY,
    plan TEXT REFERENCES plans (id),
    line INTEGER,
    instance TEXT NOT NULL,
    state TEXT NOT NULL,
    generation INTEGER NOT NULL,
    document TEXT NOT NULL,
    UNIQUE (plan, line)
);

-- An instance is in one unfinished migration at a time.
CREATE UNIQUE INDEX migrations_unfinished ON migrations (instance) WHERE state <> 'finished';

-- Every state a migration was ever in.
CREATE TABLE journal (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    migration TEXT NOT NULL REFERENCES migrations (id),
    at TEXT NOT NULL,
    event TEXT NOT NULL,
    state TEXT NOT NULL,
    generation INTEGER NOT NULL
);

-- What people asked for and no conductor has taken up yet.
CREATE TABLE wishes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    migration TEXT NOT NULL REFERENCES migrations (id),
    wish TEXT NOT NULL,
    -- Why it was not granted; null while nobody has looked at it.
    answer TEXT
);
