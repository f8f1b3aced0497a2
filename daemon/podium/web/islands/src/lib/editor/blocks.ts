// A flow as blocks: its lists of inputs, tasks and triggers, tasks within tasks at any depth. Pure: made of the text's data and the schema.
import type { Step } from "./outline";
import { freshId } from "./complete";
import type { Kind, Language, Schema, TypeInfo } from "./schema";

export interface Block {
  /** The item of its list. */
  path: Step[];
  /** Where its properties are: the item, or what a Dag holds as `task`. */
  form: Step[];
  kind: Kind | "output" | "default";
  id: string;
  type: string;
  disabled: boolean;
  lists: List[];
}
export interface List {
  path: Step[];
  name: string;
  kind: Block["kind"];
  blocks: Block[];
  /** The items hold the task in a property of this name. */
  within: string | null;
}

export const TOP: readonly { key: string; kind: Block["kind"] }[] = [
  { key: "inputs", kind: "input" }, { key: "tasks", kind: "task" }, { key: "errors", kind: "task" }, { key: "finally", kind: "task" },
  { key: "afterExecution", kind: "task" }, { key: "triggers", kind: "trigger" }, { key: "outputs", kind: "output" }, { key: "pluginDefaults", kind: "default" },
];

const isMap = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

/** The lists of a flow, in the order in which people read them; those that are not there are empty. */
export function listsOf(flow: unknown, language: Language): List[] {
  if (!isMap(flow)) return [];
  return TOP.map(({ key, kind }) => list(flow[key], [key], key, kind, null, language));
}

function list(value: unknown, path: Step[], name: string, kind: Block["kind"], within: string | null, language: Language): List {
  const items = Array.isArray(value) ? value : [];
  return { path, name, kind, within, blocks: items.map((each, index) => block(each, [...path, index], kind, within, language)) };
}

function block(value: unknown, path: Step[], kind: Block["kind"], within: string | null, language: Language): Block {
  const form = within ? [...path, within] : path;
  const held = within && isMap(value) ? value[within] : value;
  const map = isMap(held) ? held : {};
  const type = typeof map["type"] === "string" ? map["type"] : "";
  const id = map["id"] ?? map["name"] ?? (kind === "default" ? type : "");
  return {
    path, form, kind, id: String(id ?? ""), type, disabled: map["disabled"] === true || map["disabled"] === "true", lists: kind === "task" ? innerLists(map, form, type, language) : [],
  };
}

/** The lists of tasks that a task of this type can hold. */
export function innerLists(map: Record<string, unknown>, path: Step[], type: string, language: Language): List[] {
  const schema = type ? language.ofType("task", type) : null;
  if (!schema) return [];
  const found: List[] = [];
  for (const [name, inner] of Object.entries(schema.properties ?? {})) {
    const how = holds(inner, language);
    if (how === "list") found.push(list(map[name], [...path, name], name, "task", null, language));
    else if (how === "map") for (const [key, one] of Object.entries(isMap(map[name]) ? map[name] : {})) found.push(list(one, [...path, name, key], `${name}: ${key}`, "task", null, language));
    else if (how) found.push(list(map[name], [...path, name], name, "task", how.within, language));
  }
  const own = (each: List): number => (["errors", "finally"].includes(each.name) ? 1 : 0);
  return found.sort((a, b) => own(a) - own(b));
}

/** How a property holds tasks: as a list, as lists by name, or in maps of a list; null when it holds none. */
export function holds(schema: Schema, language: Language): "list" | "map" | { within: string } | null {
  for (const each of language.flat(schema)) {
    if (each.items && language.kindOf(each.items) === "task") return "list";
    if (typeof each.additionalProperties === "object") {
      for (const inner of language.flat(each.additionalProperties)) if (inner.items && language.kindOf(inner.items) === "task") return "map";
    }
    for (const item of each.items ? language.flat(each.items) : []) {
      const within = Object.entries(item.properties ?? {}).find(([name, inner]) => name === "task" && language.kindOf(inner) === "task");
      if (within) return { within: "task" };
    }
  }
  return null;
}

/** Every list of the flow that takes tasks, but those inside of a block. */
export function targets(lists: readonly List[], but: readonly Step[]): List[] {
  const found: List[] = [];
  const inside = (path: readonly Step[]): boolean => but.every((step, place) => path[place] === step);
  const visit = (each: List): void => {
    if (inside(each.path)) return;
    if (each.kind === "task" && !each.within) found.push(each);
    for (const one of each.blocks) one.lists.forEach(visit);
  };
  lists.forEach(visit);
  return found;
}

export function allBlocks(lists: readonly List[]): Block[] {
  return lists.flatMap((each) => each.blocks.flatMap((one) => [one, ...allBlocks(one.lists)]));
}

/** Ids that are taken by tasks, triggers and inputs. */
export function takenIds(lists: readonly List[]): Set<string> {
  return new Set(allBlocks(lists).map((each) => each.id).filter(Boolean));
}

/** What a new block of a type begins with: its example with ids that are free, else what it must have. */
export function newBlock(type: TypeInfo, taken: Set<string>, language: Language): Record<string, unknown> {
  const known = new Set(taken);
  const renew = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(renew);
    if (!isMap(value)) return value;
    const made: Record<string, unknown> = {};
    for (const [key, one] of Object.entries(value)) {
      if (key === "id" && typeof one === "string" && "type" in value) { made[key] = freshId(one, known); known.add(made[key] as string); } else made[key] = renew(one);
    }
    return made;
  };
  if (type.example) return renew(type.example) as Record<string, unknown>;
  const schema = language.ofType(type.kind, type.full);
  const made: Record<string, unknown> = { id: freshId(type.short.split(".").pop()!.toLowerCase(), known), type: type.short };
  for (const name of schema?.required ?? []) if (!(name in made)) made[name] = holds(schema?.properties?.[name] ?? {}, language) === "list" ? [] : "";
  return made;
}

export const keyOf = (path: readonly Step[]): string => JSON.stringify(path);
