// Changes of YAML: only the touched node changes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { duplicate, insertAt, moveTo, read, removeAt, setValue } from "islands/lib/editor/edits";

const FLOW = `# what this is
id: demo          # its name
namespace: "company.team"

labels: {team: data}
tasks:
  # first, fetch
  - id: fetch
    type: core.http.Request
    uri: 'https://example.org'   # the service
    timeout: PT10S

  - id: each
    type: core.flow.ForEach
    values: [1, 2]
    tasks:
      - id: show      # shown
        type: core.log.Log
        message: |
          # not a comment
          {{ taskrun.value }}
  # last
  - id: done
    type: core.log.Log
    message: &bye Bye
triggers:
  - id: t
    type: core.trigger.Schedule
    cron: "0 * * * *"
    inputs: {said: *bye}
`;

const changedLines = (before: string, after: string): string[] => {
  const [a, b] = [before.split("\n"), after.split("\n")];
  return b.filter((line) => !a.includes(line));
};

test("a scalar is changed in its place, quotes and comment stay", () => {
  const made = setValue(FLOW, 0, ["tasks", 0, "uri"], "https://example.net/it's");
  assert.deepEqual(changedLines(FLOW, made), ["    uri: 'https://example.net/it''s'   # the service"]);
  assert.deepEqual(changedLines(FLOW, setValue(FLOW, 0, ["id"], "other")), ["id: other          # its name"]);
  assert.deepEqual(changedLines(FLOW, setValue(FLOW, 0, ["namespace"], "a.b")), ['namespace: "a.b"']);
  assert.deepEqual(changedLines(FLOW, setValue(FLOW, 0, ["tasks", 0, "timeout"], "{{ inputs.t }}")), ['    timeout: "{{ inputs.t }}"']);
});

test("a new property goes to its map; before lists of tasks", () => {
  const made = setValue(FLOW, 0, ["tasks", 1, "concurrencyLimit"], 3);
  assert.deepEqual(changedLines(FLOW, made), ["    concurrencyLimit: 3"]);
  assert.equal(made.split("\n").indexOf("    concurrencyLimit: 3") + 1, made.split("\n").indexOf("    tasks:"));
  const described = setValue(FLOW, 0, ["description"], "Two\nlines");
  assert.deepEqual(changedLines(FLOW, described), ["description: |-", "  Two", "  lines"]);
  const deep = setValue(FLOW, 0, ["tasks", 0, "retry", "maxAttempts"], 3);
  assert.deepEqual(changedLines(FLOW, deep), ["    retry:", "      maxAttempts: 3"]);
});

test("block text is replaced, and text becomes block text", () => {
  const made = setValue(FLOW, 0, ["tasks", 1, "tasks", 0, "message"], "one");
  assert.equal(made, FLOW.replace("message: |\n          # not a comment\n          {{ taskrun.value }}\n", "message: one\n"));
  const many = setValue(FLOW, 0, ["tasks", 1, "tasks", 0, "message"], "a\nb\n");
  assert.ok(many.includes("        message: |\n          a\n          b\n  # last\n"));
});

test("an anchor stays when what it names is changed", () => {
  const made = setValue(FLOW, 0, ["tasks", 2, "message"], "So long");
  assert.ok(made.includes("    message: &bye So long\n"));
});

test("items move with their comments", () => {
  const made = moveTo(FLOW, 0, ["tasks", 2], ["tasks"], 0);
  assert.ok(made.includes("tasks:\n  # last\n  - id: done\n    type: core.log.Log\n    message: &bye Bye\n\n  # first, fetch\n  - id: fetch\n"), made);
  assert.deepEqual([...made.split("\n")].sort(), [...FLOW.split("\n")].sort());
  assert.equal(moveTo(made, 0, ["tasks", 0], ["tasks"], 2), FLOW);
});

test("an item moves into another list and out again", () => {
  const inside = moveTo(FLOW, 0, ["tasks", 0], ["tasks", 1, "tasks"], 1);
  assert.ok(inside.includes("          {{ taskrun.value }}\n      # first, fetch\n      - id: fetch\n        type: core.http.Request\n        uri: 'https://example.org'   # the service\n"), inside);
  assert.equal((read(inside).values[0] as any).tasks[0].tasks.length, 2);
  const out = moveTo(inside, 0, ["tasks", 0, "tasks", 1], ["tasks"], 0);
  assert.equal((read(out).values[0] as any).tasks.length, 3);
  assert.ok(out.includes("  # first, fetch\n  - id: fetch\n    type: core.http.Request\n"));
  const fresh = moveTo(FLOW, 0, ["tasks", 0], ["errors"], 0);
  assert.ok(fresh.endsWith("errors:\n  # first, fetch\n  - id: fetch\n    type: core.http.Request\n    uri: 'https://example.org'   # the service\n    timeout: PT10S\n"), fresh);
});

test("an item is removed with its comments, the last one with its list", () => {
  const made = removeAt(FLOW, 0, ["tasks", 0]);
  assert.ok(made.includes("tasks:\n  - id: each\n"), made);
  assert.ok(!removeAt(FLOW, 0, ["triggers", 0]).includes("triggers"));
  assert.ok(removeAt(FLOW, 0, ["tasks", 1, "tasks", 0]).includes("    tasks: []"));
  assert.ok(!removeAt(FLOW, 0, ["tasks", 0, "timeout"]).includes("timeout"));
  const first = removeAt(FLOW, 0, ["tasks", 0, "id"]);
  assert.ok(first.includes("  - type: core.http.Request\n"));
});

test("a copy has ids of its own, at any depth", () => {
  const made = duplicate(FLOW, 0, ["tasks", 1], (id) => `${id}_2`);
  const tasks = (read(made).values[0] as any).tasks;
  assert.deepEqual(tasks.map((each: any) => each.id), ["fetch", "each", "each_2", "done"]);
  assert.equal(tasks[2].tasks[0].id, "show_2");
  assert.ok(made.includes("- id: show_2      # shown"));
});

test("items are added, to lists that are there and to new ones", () => {
  const made = insertAt(FLOW, 0, ["tasks"], 1, { id: "new", type: "core.log.Log", message: "x: y" });
  assert.deepEqual(changedLines(FLOW, made), ["  - id: new", '    message: "x: y"']);
  const fresh = insertAt(FLOW, 0, ["errors"], 0, { id: "e", type: "core.log.Log" });
  assert.ok(fresh.endsWith("errors:\n  - id: e\n    type: core.log.Log\n"));
  assert.ok(insertAt(FLOW, 0, ["tasks", 1, "values"], 2, 3).includes("values: [1, 2, 3]"));
});

test("maps in braces are changed by the document", () => {
  const made = setValue(FLOW, 0, ["labels", "tier"], "gold");
  assert.equal((read(made).values[0] as any).labels.tier, "gold");
  for (const kept of ["# what this is", "# its name", "# first, fetch", "# the service", "# shown", "# last", "&bye", "*bye"]) assert.ok(made.includes(kept), kept);
});

test("the second document is changed, the first is not", () => {
  const two = "id: a\n---\nid: b # two\n";
  assert.equal(setValue(two, 1, ["id"], "c"), "id: a\n---\nid: c # two\n");
});

test("texts that are no YAML, and keys that stand twice, are not touched", () => {
  assert.throws(() => setValue("id: [1\nb: 2", 0, ["b"], 3));
  assert.throws(() => setValue("a: 1\na: 2\n", 0, ["a"], 3));
});

test("odd layouts end as what was meant", () => {
  const odd = "tasks:\n- id: a\n  type: T\n- { id: b, type: T }\n-\n  id: c\n  type: T\n\"quoted: key\": 1\n";
  for (const index of [0, 1, 2]) {
    const made = setValue(odd, 0, ["tasks", index, "id"], "é😀<b>");
    assert.equal((read(made).values[0] as any).tasks[index].id, "é😀<b>");
    assert.equal((read(removeAt(odd, 0, ["tasks", index])).values[0] as any).tasks.length, 2);
    assert.equal((read(moveTo(odd, 0, ["tasks", index], ["tasks"], 0)).values[0] as any).tasks.length, 3);
  }
  assert.equal((read(setValue(odd, 0, ["quoted: key"], { a: 1 })).values[0] as any)["quoted: key"].a, 1);
  assert.equal((read(setValue("", 0, ["id"], "x")).values[0] as any)?.id, "x");
});
