-- Data sets and whom they are shared with.

-- Data sets: a person's, a project's or an organization's own. Their ids are public: `ds_` and a UUIDv7.
CREATE TABLE datasets (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  user_id TEXT REFERENCES users (id),        -- whose it is; NULL: its project's, or the organization's
  project_id TEXT REFERENCES projects (id),  -- NULL: none
  name TEXT NOT NULL,
  description TEXT,
  columns TEXT NOT NULL,                -- a JSON array of objects: id, name, role
  judgments TEXT NOT NULL DEFAULT '[]', -- a JSON array: how its rows are to be judged
  row_count INTEGER NOT NULL DEFAULT 0,
  next_row INTEGER NOT NULL DEFAULT 1,  -- the id of the next row: none is used twice
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  ends_at INTEGER  -- set: nobody sees it, because it is being uploaded or was deleted; the sweep takes it from here on
) STRICT, WITHOUT ROWID;

-- Lists, newest first: of all of an organization, of one user, of one project.
CREATE INDEX datasets_listed ON datasets (organization_id, id) WHERE ends_at IS NULL;
CREATE INDEX datasets_by_user ON datasets (organization_id, user_id, id) WHERE ends_at IS NULL;
CREATE INDEX datasets_by_project ON datasets (organization_id, project_id, id) WHERE ends_at IS NULL;
-- The sweep: what was deleted, and uploads that were broken off.
CREATE INDEX datasets_ended ON datasets (ends_at) WHERE ends_at IS NOT NULL;

-- The rows of data sets, a hundred in one row of this table: D1 bills by the row.
CREATE TABLE dataset_chunks (
  dataset_id TEXT NOT NULL REFERENCES datasets (id),
  first_row INTEGER NOT NULL,           -- the id of the first; the others count on from it
  row_count INTEGER NOT NULL,           -- how many are there, without the removed
  cells TEXT NOT NULL,                  -- a JSON array: for each row an object of column ids and values, null if removed
  PRIMARY KEY (dataset_id, first_row)
) STRICT;

-- Pages by number: where each chunk begins among the rows that are there. Without this every chunk's text would be read.
CREATE INDEX dataset_chunks_counted ON dataset_chunks (dataset_id, first_row, row_count);

-- Who else may see or change a data set.
CREATE TABLE shares (
  resource_id TEXT NOT NULL,
  grantee_id TEXT NOT NULL,             -- a user or a team
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  grantee_kind TEXT NOT NULL CHECK (grantee_kind IN ('user', 'team')),
  access TEXT NOT NULL CHECK (access IN ('read', 'write')),
  created_at INTEGER NOT NULL,
  PRIMARY KEY (resource_id, grantee_id)
) STRICT, WITHOUT ROWID;

-- Lists of what is shared with a user or a team.
CREATE INDEX shares_by_grantee ON shares (grantee_id, resource_id, access);
