// What can be typed at a place of a flow: keys, values, types, names, and inside of expressions their words. Pure: the editor shows it.
import { stringify } from "yaml";
import { editor as terms } from "../../../../strings.json";
import { contextAt, type Context } from "./context";
import { expressionBefore, expressionOffers, tasks, type Vocabulary } from "./expressions";
import { outline, partAt, textAt, type Entry } from "./outline";
import { siblings, typesOf, type Language, type Schema, type TypeInfo } from "./schema";

export interface Completion {
  label: string;
  detail?: string;
  about?: string;
  /** What replaces the typed text. */
  apply: string;
  kind: "keyword" | "type" | "enum" | "text" | "variable" | "function" | "property" | "snippet";
  boost?: number;
  deprecated?: boolean;
  /** How far from its end the cursor goes. */
  back?: number;
}
export interface Completions { /** Column in the line. */ from: number; options: Completion[] }

const CODE = new Set(["script", "sql", "query"]);

/** What is offered inside of an expression. inside: what of it stands before the cursor; root: of the flow whose names it may use. */
export function expressionCompletions(inside: string, column: number, root: Entry, words: Vocabulary): Completions {
  const { from, offers } = expressionOffers(inside, root, words);
  return {
    from: column - (inside.length - from),
    options: offers.map((each) => ({ ...each, kind: each.kind === "filter" ? "function" : each.kind, boost: each.kind === "variable" ? 1 : 0 })),
  };
}

/** What is offered at a place; null: nothing. place: in the whole text, line and column of the same place. */
export function completionsAt(
  text: string, lines: readonly string[], place: number, line: number, column: number, language: Language | null, words: Vocabulary | null
): Completions | null {
  const inside = expressionBefore(text, place);
  if (inside !== null) {
    const root = partAt(outline(lines), line)?.root;
    if (!root || !words) return null;
    return expressionCompletions(inside, column, root, words);
  }
  const context = language && contextAt(lines, line, column);
  if (!context || !language) return null;
  const options = context.kind === "key" ? keys(context, language) : values(context.entry, context, language);
  return options.length ? { from: context.from, options } : null;
}

function keys(context: Context, language: Language): Completion[] {
  const { entry } = context;
  const found: Completion[] = [];
  const shapes = language.at(entry);
  const list = shapes.find((each) => each.items);
  if (list && !context.inItem && entry.index === null && entry.parent) return items(list, context, language, "- ");
  if (context.inItem) found.push(...items({ items: itemSchema(entry, language) }, context, language, "", entry));
  const there = siblings(entry, context.own);
  const typed = context.own?.key !== "\u0001" && context.own?.value !== undefined && /:(\s|$)/.test(context.own.value);
  for (const [name, { schema, required }] of language.properties(entry)) {
    if (there.has(name) || (schema.deprecated && !required)) continue;
    found.push({
      label: name, detail: language.words(schema), about: schema.description ?? "", kind: "property", boost: required ? 2 : commonLast(name),
      apply: typed ? name : keyText(name, schema, context, language),
    });
  }
  return found;
}

const LAST = new Set(["version", "assets", "policyRefs", "pluginDefaultsRef", "workerGroup", "workerSelector", "logToFile", "allowWarning", "tenantId", "deleted", "revision", "quotas"]);
const commonLast = (name: string): number => (LAST.has(name) ? -2 : name === "type" || name === "id" ? 1 : 0);

function itemSchema(entry: Entry, language: Language): Schema {
  return language.rawAt(entry)[0] ?? {};
}

/** What an item of a list can be: types with an example, or values. */
function items(list: Schema, context: Context, language: Language, dash: string, item: Entry | null = null): Completion[] {
  const kind = language.kindOf(list.items ?? {}) ?? language.kindOf(list);
  if (kind) {
    const column = context.from + dash.length;
    const taken = new Set(tasks(context.root).map((each) => each.id));
    return item && item.children.some((each) => each !== context.own && each.key === "type") ? [] : language.types(kind).filter((each) => each.example).map((each) => snippet(each, column, dash, taken));
  }
  return language.flat(list.items ?? {}).flatMap((each) => choices(each)).concat(refs(item?.parent ?? context.entry, context)).map((each) => ({ ...each, apply: dash + each.apply }));
}

/** A type with its example, its id made new. */
function snippet(type: TypeInfo, column: number, dash: string, taken: Set<string>): Completion {
  const example = { ...type.example };
  if (typeof example["id"] === "string") example["id"] = freshId(example["id"], taken);
  const body = stringify(example, { lineWidth: 0 }).trimEnd().split("\n").join(`\n${" ".repeat(column)}`);
  return { label: type.short, detail: terms.example, about: type.about, kind: "snippet", apply: dash + body, deprecated: type.deprecated, boost: type.deprecated ? -20 : -1 };
}

export function freshId(wanted: string, taken: ReadonlySet<string>): string {
  if (!taken.has(wanted)) return wanted;
  for (let number = 2; ; number++) if (!taken.has(`${wanted}_${number}`)) return `${wanted}_${number}`;
}

function keyText(name: string, schema: Schema, context: Context, language: Language): string {
  const inner = `\n${" ".repeat((context.own?.indent ?? context.from) + 2)}`;
  const shapes = language.flat(schema).filter((each) => !typesOf(each).includes("null") || typesOf(each).length > 1);
  const first = shapes[0] ?? {};
  if (CODE.has(name)) return `${name}: |${inner}`;
  if (first.items && !shapes.some((each) => typesOf(each).includes("string"))) return `${name}:${inner}- `;
  if ((first.properties || first.additionalProperties) && typesOf(first).includes("object")) return `${name}:${inner}`;
  return `${name}: `;
}

function values(entry: Entry, context: Context, language: Language): Completion[] {
  if (entry.key === "type" && entry.parent) {
    const kinds = language.rawAt(entry.parent).map((each) => language.kindOf(each)).filter((each) => each !== null);
    const whole = /^["']?(io|podium)\./.test(context.typed);
    return [...new Set(kinds)].flatMap((kind) => language.types(kind)).map((each) => ({
      label: whole ? each.full : each.short, detail: each.group, about: each.about, kind: "type", apply: whole ? each.full : each.short,
      deprecated: each.deprecated, ...(each.deprecated ? { boost: -20 } : {}),
    }));
  }
  return [...language.at(entry).flatMap((each) => choices(each)), ...refs(entry, context)];
}

function choices(schema: Schema): Completion[] {
  if (schema.const !== undefined) return [{ label: String(schema.const), apply: String(schema.const), kind: "enum" }];
  if (schema.enum) return schema.enum.filter((each) => each !== null).map((each) => ({ label: String(each), apply: String(each), kind: "enum" as const, about: schema.description ?? "" }));
  const types = typesOf(schema);
  if (types.includes("boolean") && !types.includes("number")) return ["true", "false"].map((each) => ({ label: each, apply: each, kind: "enum" as const }));
  return [];
}

/** Ids that a property names: of tasks, of inputs. */
function refs(entry: Entry, context: Context): Completion[] {
  const name = entry.key ?? entry.parent?.key;
  if (name === "dependsOn" || name === "inputs") {
    const owner = entry.index !== null ? entry.parent?.parent : entry.parent;
    const list = owner?.parent?.children ?? [];
    const own = owner && textAt(owner, "id");
    const known = list.map((each) => textAt(each, "id") ?? (each.children.find((one) => one.key === "task") ? textAt(each.children.find((one) => one.key === "task")!, "id") : null));
    return known.filter((each): each is string => each !== null && each !== own).map((each) => ({ label: each, apply: each, kind: "variable" as const }));
  }
  if (name === "taskId") return tasks(context.root).map((each) => ({ label: each.id, apply: each.id, kind: "variable" as const, detail: each.type }));
  return [];
}

/** What a place means, for who points at it. */
export function meaningAt(lines: readonly string[], line: number, column: number, language: Language): { title: string; about: string; words: string; link: string | null; from: number; to: number } | null {
  const root = partAt(outline(lines), line)?.root;
  if (!root) return null;
  let found: Entry | null = null;
  const waiting = [root];
  while (waiting.length) {
    const each = waiting.pop()!;
    if (each.line === line && each.parent && column >= each.indent && (!found || each.indent > found.indent)) found = each;
    waiting.push(...each.children.filter((one) => one.line <= line && one.last >= line));
  }
  if (!found || found.key === null) return null;
  const { key } = found;
  if (column <= found.keyTo) {
    const schema = language.properties(found.parent!).get(key)?.schema;
    if (!schema) return null;
    const words = [language.words(schema), schema.default !== undefined && schema.default !== null ? terms.default_value.replace("{value}", JSON.stringify(schema.default)) : ""].filter(Boolean).join(" · ");
    return { title: key, about: schema.description ?? "", words, link: null, from: found.indent, to: found.keyTo };
  }
  if (key === "type" && column >= found.valueFrom && column <= found.valueFrom + found.value.length) {
    const type = textAt(found.parent!, "type");
    const known = type ? language.anyType(type) : null;
    if (!known || !type) return null;
    return { title: type, about: known.schema.description ?? "", words: known.kind, link: `/plugins/${encodeURIComponent(known.schema.title ?? type)}`, from: found.valueFrom, to: found.valueFrom + found.value.length };
  }
  return null;
}
