-- The templates that stand in a flow, as JSON [{namespace, id, path, blob, text}]: what is needed to read the revision again.
ALTER TABLE flows ADD COLUMN templates TEXT NOT NULL DEFAULT '[]';
