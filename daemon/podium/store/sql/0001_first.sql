-- The journal and the disposable index. Times are ISO text, UTC, milliseconds, so that they sort as text.

-- Facts of executions in flight, and of those whose record is not on the remote yet.
CREATE TABLE events (
  stream TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (stream, version)
) WITHOUT ROWID;

-- One row an execution, for lists and dashboards. summary: the view without task runs. open: 1 until the record is written.
CREATE TABLE executions (
  id TEXT PRIMARY KEY, namespace TEXT NOT NULL, flow_id TEXT NOT NULL, revision INTEGER NOT NULL, state TEXT NOT NULL,
  created_at TEXT NOT NULL, ended_at TEXT, trigger_id TEXT, trigger_execution_id TEXT, parent_id TEXT, record_path TEXT,
  open INTEGER NOT NULL, summary BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX executions_by_time ON executions (created_at DESC, id DESC);
CREATE INDEX executions_by_flow ON executions (namespace, flow_id, created_at DESC);
CREATE INDEX executions_by_state ON executions (state, created_at DESC);
CREATE INDEX executions_by_trigger ON executions (trigger_execution_id) WHERE trigger_execution_id IS NOT NULL;
CREATE INDEX executions_open ON executions (id) WHERE open = 1;

CREATE TABLE execution_labels (
  execution_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (execution_id, key)
) WITHOUT ROWID;
CREATE INDEX labels_by_value ON execution_labels (key, value, execution_id);

CREATE TABLE logs (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, execution_id TEXT NOT NULL, namespace TEXT NOT NULL, flow_id TEXT NOT NULL,
  task_id TEXT, task_run_id TEXT, attempt INTEGER NOT NULL DEFAULT 0, trigger_id TEXT, at TEXT NOT NULL, level INTEGER NOT NULL,
  message TEXT NOT NULL
);
CREATE INDEX logs_by_execution ON logs (execution_id, seq);
CREATE INDEX logs_by_time ON logs (at);

-- How far the output of an attempt has been read; entered with the lines it brought.
CREATE TABLE log_cursors (attempt_id TEXT PRIMARY KEY, cursor TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE metrics (
  execution_id TEXT NOT NULL, namespace TEXT NOT NULL, flow_id TEXT NOT NULL, task_id TEXT NOT NULL, task_run_id TEXT NOT NULL,
  type TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, tags TEXT NOT NULL, at TEXT NOT NULL
);
CREATE INDEX metrics_by_execution ON metrics (execution_id);

-- Small JSON documents: kv, state, trigger, source, sync, instance …
CREATE TABLE documents (
  kind TEXT NOT NULL, namespace TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
  expires_at TEXT,
  PRIMARY KEY (kind, namespace, key)
) WITHOUT ROWID;

-- Requests already answered: webhook deliveries, schedule dates, file versions.
CREATE TABLE dedupe (key TEXT PRIMARY KEY, execution_id TEXT NOT NULL, at TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX dedupe_by_time ON dedupe (at);

-- Every accepted revision of every flow; a deletion is a revision too.
CREATE TABLE flows (
  namespace TEXT NOT NULL, flow_id TEXT NOT NULL, revision INTEGER NOT NULL, source TEXT NOT NULL, commit_id TEXT NOT NULL, path TEXT NOT NULL,
  blob TEXT NOT NULL, text TEXT NOT NULL, defaults TEXT NOT NULL, deployed_at TEXT NOT NULL, deleted INTEGER NOT NULL,
  PRIMARY KEY (namespace, flow_id, revision)
) WITHOUT ROWID;

-- Files on their way to the results branch.
CREATE TABLE queue (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL, body BLOB NOT NULL, kind TEXT NOT NULL, summary TEXT NOT NULL,
  queued_at TEXT NOT NULL, commit_id TEXT, stream TEXT
);
CREATE INDEX queue_by_commit ON queue (commit_id);
CREATE INDEX queue_by_stream ON queue (stream) WHERE stream IS NOT NULL;
