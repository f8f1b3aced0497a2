-- Metrics of a flow over time: their names, the tasks they are of, and their values along one range of an index.
CREATE INDEX metrics_by_flow ON metrics (namespace, flow_id, name, task_id, at, value);
