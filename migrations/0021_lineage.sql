-- A key, an invitation, a link and a session know the user that created them, and the key that they descend from.
ALTER TABLE keys ADD COLUMN created_by_user TEXT;
ALTER TABLE keys ADD COLUMN parent_id TEXT;
ALTER TABLE keys ADD COLUMN rotated_by_user TEXT;
ALTER TABLE invitations ADD COLUMN parent_id TEXT;
ALTER TABLE sign_in_links ADD COLUMN parent_id TEXT;
ALTER TABLE sign_in_links ADD COLUMN id TEXT;
ALTER TABLE sign_in_links ADD COLUMN created_at INTEGER;
ALTER TABLE sessions ADD COLUMN created_by TEXT;
ALTER TABLE sessions ADD COLUMN created_by_user TEXT;
ALTER TABLE sessions ADD COLUMN parent_id TEXT;

-- A key that was created in a session without a key acted as that session's user. Which link began the session is not
-- on record.
UPDATE keys SET
  created_by_user = coalesce(
    (SELECT creator.user_id FROM keys AS creator WHERE creator.id = keys.created_by),
    (SELECT sessions.user_id FROM sessions WHERE sessions.id = keys.created_by)),
  parent_id = (SELECT creator.id FROM keys AS creator WHERE creator.id = keys.created_by
    AND creator.organization_id = keys.organization_id)
WHERE created_by IS NOT NULL;
UPDATE invitations SET parent_id = (SELECT id FROM keys WHERE keys.id = invitations.created_by);
UPDATE sessions SET created_by = key_id, created_by_user = user_id, parent_id = key_id WHERE key_id IS NOT NULL;
-- A link lives for a quarter of an hour, the first one for a day.
UPDATE sign_in_links SET
  id = '01900000-0000-7000-8000-' || lower(hex(randomblob(6))),
  created_at = expires_at - 900000,
  parent_id = (SELECT id FROM keys WHERE keys.id = sign_in_links.created_by);

-- Lists of what a key or a session created, and of what a user did.
CREATE INDEX keys_by_creator ON keys (organization_id, created_by, id) WHERE created_by IS NOT NULL;
CREATE INDEX keys_by_creating_user ON keys (organization_id, created_by_user, id) WHERE created_by_user IS NOT NULL;
-- What descends from a key.
CREATE INDEX keys_by_parent ON keys (parent_id) WHERE parent_id IS NOT NULL;
-- Keys of which a user has seen the secret, without having created them.
CREATE INDEX keys_by_rotating_user ON keys (organization_id, rotated_by_user, id) WHERE rotated_by_user IS NOT NULL;
-- Those that descend from a key, which end with it.
CREATE INDEX invitations_by_parent ON invitations (parent_id) WHERE parent_id IS NOT NULL;
-- Those of one creator, newest first.
CREATE INDEX invitations_by_creator ON invitations (organization_id, created_by, id);
CREATE INDEX invitations_by_creating_user ON invitations (organization_id, invited_by, id) WHERE invited_by IS NOT NULL;
CREATE INDEX invitations_by_key ON invitations (created_by);
-- Those that descend from a key.
CREATE INDEX sign_in_links_by_parent ON sign_in_links (parent_id) WHERE parent_id IS NOT NULL;
-- Lists, newest first.
CREATE UNIQUE INDEX sign_in_links_listed ON sign_in_links (organization_id, id);
-- Those that descend from a key.
CREATE INDEX sessions_by_parent ON sessions (parent_id) WHERE parent_id IS NOT NULL;
