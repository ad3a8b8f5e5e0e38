-- A person who was invited by a key that ends gets nothing by signing in that lasts longer.
ALTER TABLE memberships ADD COLUMN key_expires_at INTEGER;
