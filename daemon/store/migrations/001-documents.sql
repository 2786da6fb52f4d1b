-- What stands, and every commit that led to it as far back as the history reaches.

CREATE TABLE documents (
  key TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL,          -- JSON
  revision INTEGER NOT NULL     -- of the commit that wrote it last
) STRICT;

CREATE TABLE commits (
  revision INTEGER PRIMARY KEY, -- without gaps, from meta.oldest on
  time_ms INTEGER NOT NULL,     -- since 1970
  note TEXT NOT NULL            -- JSON
) STRICT;

-- A row for each key that a commit wrote, in the order it was asked to.
CREATE TABLE changes (
  id INTEGER PRIMARY KEY,
  revision INTEGER NOT NULL,
  key TEXT NOT NULL,
  value TEXT,                   -- JSON; NULL: deleted
  before TEXT                   -- JSON; NULL: there was none
) STRICT;

CREATE INDEX changes_by_revision ON changes (revision);

-- One row.
CREATE TABLE meta (
  id TEXT NOT NULL,             -- names this history
  oldest INTEGER NOT NULL,      -- first revision that compaction has left
  backup_time_ms INTEGER        -- NULL in a store; in a backup, when it was made
) STRICT;
