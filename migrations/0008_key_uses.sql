-- How often each key was used on each day. The day stands first, so that the sweep finds the oldest and a month of one key is thirty look-ups.
CREATE TABLE key_uses (
  day INTEGER NOT NULL,                 -- days since 1970 (UTC)
  key_id TEXT NOT NULL,
  uses INTEGER NOT NULL,
  PRIMARY KEY (day, key_id)
) STRICT, WITHOUT ROWID;
