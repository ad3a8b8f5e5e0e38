-- The people of an organization: who is in it, who is invited, and teams.

-- Addresses are compared in lower case.
UPDATE users SET email = lower(email);

-- Is somebody with this address in an organization?
CREATE INDEX users_by_email ON users (email);

-- Is there another owner, and who else can manage keys?
CREATE INDEX memberships_administering ON memberships (organization_id, role) WHERE role <> 'member';

-- Open invitations: one that is accepted or revoked is no more, and one that has expired goes with the
-- next that is made.
CREATE TABLE invitations (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  email TEXT NOT NULL,                  -- in lower case
  role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
  digest TEXT NOT NULL,                 -- SHA-256 of the token; hexadecimal
  expires_at INTEGER NOT NULL,          -- not there from here on
  key_expires_at INTEGER,               -- when the key expires that whoever accepts it gets; NULL: never
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,             -- the key that made it
  invited_by TEXT REFERENCES users (id) -- the user as whom that key acted; NULL: none
) STRICT, WITHOUT ROWID;

-- One invitation by its token.
CREATE UNIQUE INDEX invitations_by_digest ON invitations (digest);
-- One for each address.
CREATE UNIQUE INDEX invitations_by_email ON invitations (organization_id, email);
-- Lists, newest first.
CREATE INDEX invitations_listed ON invitations (organization_id, id);
-- What has expired.
CREATE INDEX invitations_due ON invitations (organization_id, expires_at);
-- Those of a person who is removed, or may do less.
CREATE INDEX invitations_by_inviter ON invitations (invited_by) WHERE invited_by IS NOT NULL;

CREATE TABLE teams (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- No two with one name.
CREATE UNIQUE INDEX teams_by_name ON teams (organization_id, name);
-- Lists, newest first.
CREATE INDEX teams_listed ON teams (organization_id, id);

CREATE TABLE team_members (
  team_id TEXT NOT NULL REFERENCES teams (id),
  user_id TEXT NOT NULL REFERENCES users (id),
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  created_at INTEGER NOT NULL,
  PRIMARY KEY (team_id, user_id)
) STRICT, WITHOUT ROWID;

-- The teams of one person, newest first.
CREATE INDEX team_members_by_user ON team_members (organization_id, user_id, team_id);

DROP INDEX keys_managing;
-- Is there another key that can manage keys, before the last such key ends, or its user goes?
CREATE INDEX keys_managing ON keys (organization_id, user_id)
WHERE revoked_at IS NULL AND disabled_at IS NULL AND role <> 'member'
  AND (scopes IS NULL OR instr(scopes, '"api-keys:write"') > 0 OR instr(scopes, '"api-keys:*"') > 0);
