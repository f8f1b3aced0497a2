// A flow as blocks: tasks at any depth, where they can go, and what a new one begins with.
import assert from "node:assert/strict";
import { test } from "node:test";
import { allBlocks, keyOf, listsOf, newBlock, takenIds, targets } from "islands/lib/editor/blocks";
import { typed } from "islands/lib/editor/fields";
import { Language, type Schema } from "islands/lib/editor/schema";

const tasks = { type: "array", items: { $ref: "#/definitions/task" } };
const rule = (name: string): any => ({ if: { properties: { type: { enum: [name] } } }, then: { $ref: `#/definitions/${name}` } });
const type = (name: string, properties: Record<string, Schema>): Schema => ({ type: "object", title: name, properties: { id: { type: "string" }, type: { enum: [name] }, ...properties } });
const SCHEMA: Schema = {
  type: "object", properties: { tasks },
  definitions: {
    task: { type: "object", properties: {}, allOf: ["Log", "Each", "Switch", "Dag"].map(rule), defaultSnippets: [{ label: "Each", body: { id: "each", type: "Each", tasks: [{ id: "log", type: "Log" }] } }] },
    Log: type("Log", {}), Each: type("Each", { tasks, errors: tasks }),
    Switch: type("Switch", { cases: { anyOf: [{ type: "object", additionalProperties: tasks }, { type: "null" }] }, defaults: tasks }),
    Dag: type("Dag", { tasks: { type: "array", items: { $ref: "#/definitions/DagTask" } } }),
    DagTask: { type: "object", properties: { task: { $ref: "#/definitions/task" }, dependsOn: { type: "array", items: { type: "string" } } } },
  },
};
const language = new Language(SCHEMA);
const FLOW = {
  id: "f", tasks: [
    { id: "a", type: "Each", tasks: [{ id: "b", type: "Switch", cases: { x: [{ id: "c", type: "Log" }], y: [] }, defaults: [{ id: "d", type: "Log", disabled: true }] }] },
    { id: "g", type: "Dag", tasks: [{ task: { id: "h", type: "Log" }, dependsOn: [] }] }, "no map", null,
  ], triggers: [{ id: "t", type: "Nowhere" }], inputs: 7,
};

test("every task is found, with the place of its properties", () => {
  const found = allBlocks(listsOf(FLOW, language));
  assert.deepEqual(found.map((each) => each.id), ["a", "b", "c", "d", "g", "h", "", "", "t"]);
  assert.deepEqual(found.find((each) => each.id === "c")?.path, ["tasks", 0, "tasks", 0, "cases", "x", 0]);
  assert.deepEqual(found.find((each) => each.id === "h")?.form, ["tasks", 1, "tasks", 0, "task"]);
  assert.equal(found.find((each) => each.id === "d")?.disabled, true);
  assert.deepEqual(takenIds(listsOf(FLOW, language)), new Set(["a", "b", "c", "d", "g", "h", "t"]));
});

test("a task goes into every list but those inside of itself", () => {
  const lists = listsOf(FLOW, language);
  const found = targets(lists, ["tasks", 0]).map((each) => keyOf(each.path));
  assert.ok(found.includes(keyOf(["tasks"])) && found.includes(keyOf(["errors"])));
  assert.ok(!found.some((each) => each.startsWith('["tasks",0')));
  assert.ok(targets(lists, ["tasks", 0, "tasks", 0]).some((each) => keyOf(each.path) === keyOf(["tasks", 0, "tasks"])));
});

test("a new task has ids that are free, also inside", () => {
  const each = language.types("task").find((one) => one.short === "Each")!;
  assert.deepEqual(newBlock(each, new Set(["each", "log"]), language), { id: "each_2", type: "Each", tasks: [{ id: "log_2", type: "Log" }] });
});

test("what somebody types becomes a number or true only where one belongs", () => {
  const number: Schema = { type: ["integer", "string", "null"], pattern: "^[-+]?[0-9]+$" };
  const flag: Schema = { type: ["boolean", "string"], pattern: "^true|false$" };
  const text: Schema = { type: ["string", "number", "boolean"] };
  assert.equal(typed("5", undefined, number, language), 5);
  assert.equal(typed("{{ inputs.n }}", 5, number, language), "{{ inputs.n }}");
  assert.equal(typed("true", undefined, flag, language), true);
  assert.equal(typed("5", undefined, text, language), "5");
  assert.equal(typed("true", "x", text, language), "true");
});
