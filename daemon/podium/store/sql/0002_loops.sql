-- Iterations of a Loop are executions that lists leave out: loop is 1 for them.
ALTER TABLE executions ADD COLUMN loop INTEGER NOT NULL DEFAULT 0;
DROP INDEX executions_by_flow;
DROP INDEX executions_by_state;
CREATE INDEX executions_listed ON executions (created_at DESC, id DESC) WHERE loop = 0;
CREATE INDEX executions_by_flow ON executions (namespace, flow_id, created_at DESC) WHERE loop = 0;
CREATE INDEX executions_by_state ON executions (state, created_at DESC) WHERE loop = 0;
