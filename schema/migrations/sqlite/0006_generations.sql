-- Generations that hosts were found to have obeyed without this store knowing: its own go on from there.
CREATE TABLE generations (
    instance TEXT PRIMARY KEY,
    obeyed INTEGER NOT NULL
);
