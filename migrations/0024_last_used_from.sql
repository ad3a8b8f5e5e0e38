-- The client of the last use of each secret: a JSON object with its address and user agent.
ALTER TABLE keys ADD COLUMN last_used_from TEXT;
ALTER TABLE keys ADD COLUMN outgoing_last_used_from TEXT;
