-- A million executions. The table of executions becomes one with row numbers: without them a summary of over a kilobyte took a page of its own.
CREATE TABLE executions_in_order (
  row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, namespace TEXT NOT NULL, flow_id TEXT NOT NULL, revision INTEGER NOT NULL, state TEXT NOT NULL,
  loop INTEGER NOT NULL DEFAULT 0, open INTEGER NOT NULL, created_at TEXT NOT NULL, ended_at TEXT, trigger_id TEXT, trigger_execution_id TEXT,
  parent_id TEXT, record_path TEXT, summary BLOB NOT NULL
);
INSERT INTO executions_in_order
  (id, namespace, flow_id, revision, state, loop, open, created_at, ended_at, trigger_id, trigger_execution_id, parent_id, record_path, summary)
  SELECT id, namespace, flow_id, revision, state, loop, open, created_at, ended_at, trigger_id, trigger_execution_id, parent_id, record_path, summary
  FROM executions ORDER BY id;
DROP TABLE executions;
ALTER TABLE executions_in_order RENAME TO executions;
CREATE INDEX executions_open ON executions (id) WHERE open = 1;
-- Each index gives the order of lists, newest first, so that no page sorts or scans. They begin with loop, so that they alone answer: a partial
-- index would have the row read for it.
CREATE INDEX executions_listed ON executions (loop, created_at DESC, id DESC);
CREATE INDEX executions_by_flow ON executions (loop, namespace, flow_id, created_at DESC, id DESC);
CREATE INDEX executions_by_flow_state ON executions (loop, namespace, flow_id, state, created_at DESC, id DESC);
CREATE INDEX executions_by_state ON executions (loop, state, created_at DESC, id DESC);
CREATE INDEX executions_by_trigger ON executions (trigger_execution_id, created_at DESC, id DESC) WHERE trigger_execution_id IS NOT NULL;
-- Which flows have executions. Few rows: searches begin here.
CREATE TABLE execution_flows (namespace TEXT NOT NULL, flow_id TEXT NOT NULL, PRIMARY KEY (namespace, flow_id)) WITHOUT ROWID;
INSERT INTO execution_flows SELECT DISTINCT namespace, flow_id FROM executions;
-- Labels give the order of lists too: loop and created_at are those of the execution.
CREATE TABLE labels_in_order (
  execution_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, loop INTEGER NOT NULL, created_at TEXT NOT NULL,
  PRIMARY KEY (execution_id, key)
) WITHOUT ROWID;
INSERT INTO labels_in_order SELECT l.execution_id, l.key, l.value, e.loop, e.created_at
  FROM executions AS e CROSS JOIN execution_labels AS l ON l.execution_id = e.id;
DROP TABLE execution_labels;
ALTER TABLE labels_in_order RENAME TO execution_labels;
CREATE INDEX labels_by_value ON execution_labels (key, value, loop, created_at DESC, execution_id DESC);
DROP INDEX logs_by_time;
CREATE INDEX logs_by_time ON logs (at, seq);
CREATE INDEX logs_by_flow ON logs (namespace, flow_id, at, seq);
CREATE INDEX logs_grave ON logs (level, at, seq) WHERE level >= 3;
CREATE INDEX logs_grave_by_flow ON logs (namespace, flow_id, level, at, seq) WHERE level >= 3;
-- Retention goes along these, oldest first.
CREATE INDEX executions_closed ON executions (created_at, id) WHERE open = 0;
CREATE INDEX metrics_by_time ON metrics (at);
CREATE INDEX documents_expiring ON documents (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX documents_synced ON documents (updated_at DESC, key DESC) WHERE kind = 'sync';
-- Files in the storage of which the index has no execution: uploads, and those that stay longer than the execution's row.
CREATE TABLE apart (
  created_at TEXT NOT NULL, execution_id TEXT NOT NULL, namespace TEXT NOT NULL, flow_id TEXT NOT NULL, PRIMARY KEY (created_at, execution_id)
) WITHOUT ROWID;
CREATE INDEX queue_by_path ON queue (path);
-- Indexes that were dropped for the time of a bulk of rows, and come back at its end or at the next start.
CREATE TABLE dropped_indexes (name TEXT PRIMARY KEY, sql TEXT NOT NULL) WITHOUT ROWID;
