// What is offered where, and what a place means.
import assert from "node:assert/strict";
import { test } from "node:test";
import { completionsAt, meaningAt } from "islands/lib/editor/complete";
import { blockAt, outline, partAt } from "islands/lib/editor/outline";
import { Language, type Schema } from "islands/lib/editor/schema";
import { merge } from "islands/lib/editor/merging";
import type { Vocabulary } from "islands/lib/editor/expressions";

const text = { type: ["string", "number", "boolean"] };
const task = (title: string, properties: Record<string, Schema>, required: string[]): Schema => ({
  type: "object", title, description: `About ${title}.`, required, properties: { id: text, type: { enum: [title] }, ...properties }, examples: [{ id: "x", type: title }],
});
const rule = (names: string[], name: string): any => ({ if: { properties: { type: { enum: names } } }, then: { $ref: `#/definitions/${name}` } });
const LOG = "io.kestra.plugin.core.log.Log";
const EACH = "io.kestra.plugin.core.flow.ForEach";
const SCHEMA: Schema = {
  type: "object", required: ["id", "namespace", "tasks"],
  properties: {
    id: { ...text, description: "Name of the flow." }, namespace: text, disabled: { type: ["boolean", "string", "null"], pattern: "x" },
    tasks: { type: "array", items: { $ref: "#/definitions/task" } }, labels: { anyOf: [{ type: "object", additionalProperties: text }, { type: "null" }] },
    variables: { type: ["object", "null"], additionalProperties: true }, inputs: { type: ["array", "null"], items: { $ref: "#/definitions/input" } },
  },
  definitions: {
    task: { type: "object", properties: { id: text, type: { enum: [LOG, EACH] } }, allOf: [rule([LOG, "core.log.Log", "Old"], "core.log.Log"), rule([EACH, "core.flow.ForEach"], "core.flow.ForEach")], defaultSnippets: [{ label: "core.log.Log", body: { id: "hello", type: "core.log.Log", message: "Hi" } }] },
    input: { type: "object", properties: { id: text, type: { enum: ["STRING"] } }, allOf: [rule(["STRING"], "StringInput")] },
    StringInput: { type: "object", properties: { id: text, type: { enum: ["STRING"] }, defaults: text } },
    "core.log.Log": task(LOG, { message: text, level: { anyOf: [{ enum: ["INFO", "WARN"], type: "string", description: "Level." }, { type: "null" }], default: "INFO", description: "Level of the entries." } }, ["id", "type", "message"]),
    "core.flow.ForEach": task(EACH, { values: { type: "array", items: {} }, tasks: { $ref: "#/definitions/property.tasks" }, dependsOn: { type: "array", items: text } }, ["id", "type", "tasks", "values"]),
    "property.tasks": { type: "array", items: { $ref: "#/definitions/task" }, description: "Its tasks." },
  },
};
const WORDS: Vocabulary = {
  functions: [{ name: "now", parameters: ["format"], about: "This moment.", dialects: ["1.x", "2.0"] }, { name: "uuid", parameters: [], about: "New.", dialects: ["1.x", "2.0"] }],
  filters: [{ name: "upper", parameters: [], about: "Upper case.", dialects: ["1.x", "2.0"] }, { name: "date", parameters: ["format"], about: "A date.", dialects: ["1.x", "2.0"] }],
  variables: [{ name: "inputs", about: "Inputs.", members: [] }, { name: "outputs", about: "Outputs.", members: [] }, { name: "flow", about: "The flow.", members: ["id", "namespace"] }],
  triggers: {}, outputs: { [LOG]: ["value"] },
};
const language = new Language(SCHEMA);

/** Labels offered at the mark ‸. */
function offered(marked: string): { labels: string[]; typed: string; apply: Record<string, string> } {
  const place = marked.indexOf("‸");
  const whole = marked.replace("‸", "");
  const lines = whole.split("\n");
  const line = marked.slice(0, place).split("\n").length - 1;
  const column = place - (marked.lastIndexOf("\n", place - 1) + 1);
  const found = completionsAt(whole, lines, place, line, column, language, WORDS);
  return {
    labels: found?.options.map((each) => each.label) ?? [], typed: found ? lines[line]!.slice(found.from, column) : "",
    apply: Object.fromEntries(found?.options.map((each) => [each.label, each.apply]) ?? []),
  };
}

test("keys of the flow, without those that are there", () => {
  const { labels, typed } = offered("id: a\nta‸");
  assert.equal(typed, "ta");
  assert.ok(labels.includes("tasks") && labels.includes("labels") && !labels.includes("id"));
  assert.ok(offered("id: a\n‸\ntasks: []").labels.includes("namespace"));
  assert.deepEqual(offered("id: a\n# com‸").labels, []);
});

test("properties of a task follow its type, also below it, also by a short name", () => {
  const { labels } = offered("tasks:\n  - id: a\n    me‸\n    type: core.log.Log\n");
  assert.ok(labels.includes("message") && labels.includes("level") && !labels.includes("values") && !labels.includes("type"));
  assert.ok(offered("tasks:\n- id: a\n  type: Old\n  ‸").labels.includes("message"));
  const nested = offered("tasks:\n  - id: a\n    type: core.flow.ForEach\n    tasks:\n      - id: b\n        type: core.log.Log\n        ‸");
  assert.ok(nested.labels.includes("level") && !nested.labels.includes("values"));
  assert.ok(offered("tasks:\n  - id: a\n    type: core.flow.ForEach\n    ‸\n    tasks:\n      - id: b\n").labels.includes("values"));
});

test("types, whole ones once somebody begins so", () => {
  assert.ok(offered("tasks:\n  - id: a\n    type: ‸").labels.includes("core.log.Log"));
  assert.ok(offered("tasks:\n  - id: a\n    type: io.‸").labels.includes(LOG));
  assert.deepEqual(offered("inputs:\n  - id: a\n    type: ‸").labels, ["STRING"]);
  assert.deepEqual(offered("inputs:\n  - {id: a, type: ‸}").labels, ["STRING"]);
  assert.ok(offered("inputs:\n  - {id: a, type: STRING, d‸}").labels.includes("defaults"));
});

test("values of a property", () => {
  assert.deepEqual(offered("tasks:\n  - id: a\n    type: core.log.Log\n    level: ‸").labels, ["INFO", "WARN"]);
  assert.deepEqual(offered("disabled: ‸").labels, ["true", "false"]);
});

test("a new item is a type with its example and an id that is free", () => {
  const found = offered("tasks:\n  - id: hello\n    type: core.log.Log\n    message: x\n  - ‸");
  assert.ok(found.labels.includes("core.log.Log"));
  assert.equal(found.apply["core.log.Log"], "id: hello_2\n    type: core.log.Log\n    message: Hi");
  assert.ok(offered("tasks:\n  ‸").apply["core.log.Log"]!.startsWith("- id: hello\n    type"));
});

test("expressions: variables, functions, filters, names of this flow", () => {
  const flow = "inputs:\n  - {id: day, type: STRING}\nvariables:\n  table: t\ntasks:\n  - id: first\n    type: core.log.Log\n    message: x\n  - id: my-task\n    type: core.log.Log\n    message: \"{{ ‸ }}\"\n";
  const at = (inside: string) => offered(flow.replace("‸", `${inside}‸`));
  assert.ok(at("").labels.includes("inputs") && at("").labels.includes("now"));
  assert.deepEqual(at("inputs.").labels, ["day"]);
  assert.deepEqual(at("outputs.fi").labels, ["first", "my-task"]);
  assert.deepEqual(at("outputs['").labels, ["first", "my-task"]);
  assert.deepEqual(at("outputs.first.").labels, ["value"]);
  assert.deepEqual(at("vars.").labels, ["table"]);
  assert.deepEqual(at("flow.").labels, ["id", "namespace"]);
  assert.deepEqual(at("inputs.day | ").labels, ["upper", "date"]);
  assert.equal(at("inputs.day | up").typed, "up");
  assert.deepEqual(at("'text ").labels, []);
  const block = "tasks:\n  - id: a\n    type: core.log.Log\n    message: |\n      # hash\n      {{ inp‸\n";
  assert.ok(offered(block).labels.includes("inputs"));
  assert.deepEqual(offered("tasks:\n  - id: a\n    type: core.log.Log\n    message: |\n      plain‸\n").labels, []);
});

test("what a place means", () => {
  const lines = "id: a\ntasks:\n  - id: x\n    type: core.log.Log\n    level: INFO".split("\n");
  assert.equal(meaningAt(lines, 0, 1, language)?.about, "Name of the flow.");
  assert.equal(meaningAt(lines, 4, 6, language)?.about, "Level of the entries.");
  assert.equal(meaningAt(lines, 4, 6, language)?.words, 'INFO | WARN · default "INFO"');
  assert.equal(meaningAt(lines, 3, 12, language)?.link, `/plugins/${encodeURIComponent(LOG)}`);
});

test("which task a line belongs to", () => {
  const lines = "id: a\ntasks:\n  - id: x\n    type: T\n    tasks:\n      - id: y\n        type: T\n        script: |\n          id: no\n\n  # after\n  - id: z\n    type: T\n---\nid: b\ntasks:\n  - {id: q, type: T}".split("\n");
  const parts = outline(lines);
  assert.equal(parts.length, 2);
  const at = (line: number) => blockAt(partAt(parts, line)!.root, line)?.id;
  assert.deepEqual([2, 4, 5, 8, 11, 12, 16].map(at), ["x", "x", "y", "y", "z", "z", "q"]);
});

test("a long text is read fast", () => {
  const lines = ["id: a", "tasks:"];
  for (let number = 0; number < 5_000; number++) lines.push(`  - id: t${number}`, "    type: core.log.Log");
  const began = performance.now();
  assert.equal(outline(lines)[0]!.root.children[1]!.children.length, 5_000);
  assert.ok(performance.now() - began < 2_000);
});

test("changes of two people are put together, and where both changed mine stays", () => {
  const base = "a\nb\nc\nd\ne\nf\n";
  assert.deepEqual(merge(base, base.replace("b", "B"), base.replace("e", "E")), { text: "a\nB\nc\nd\nE\nf\n", conflicts: 0 });
  assert.deepEqual(merge(base, base.replace("b", "B"), base.replace("b", "x")), { text: "a\nx\nc\nd\ne\nf\n", conflicts: 1 });
  assert.deepEqual(merge(base, base.replace("b", "B"), base.replace("b", "B")), { text: "a\nB\nc\nd\ne\nf\n", conflicts: 0 });
  assert.deepEqual(merge("", "x\n", "x\n"), { text: "x\n", conflicts: 0 });
});
