// The JSON Schema of the language as completion, hovers and forms ask it: what may stand at a place. Pure.
import { editor as terms } from "../../../../strings.json";
import { child, textAt, type Entry, type Step } from "./outline";

export interface Schema {
  $ref?: string; type?: string | string[]; enum?: unknown[]; const?: unknown; anyOf?: Schema[]; allOf?: Rule[]; items?: Schema;
  properties?: Record<string, Schema>; additionalProperties?: boolean | Schema; required?: string[]; description?: string; default?: unknown;
  deprecated?: boolean; deprecationMessage?: string; examples?: unknown[]; title?: string; definitions?: Record<string, Schema>; pattern?: string;
  defaultSnippets?: { label: string; description?: string; body: unknown }[];
}
interface Rule { if?: { properties?: { type?: { enum?: string[]; const?: string } } }; then?: Schema; anyOf?: Schema[] }

export type Kind = "task" | "trigger" | "condition" | "runner" | "input";
export interface TypeInfo { kind: Kind; short: string; full: string; about: string; group: string; deprecated: boolean; example: Record<string, unknown> | null }

const PLACE = "#/definitions/";
const PREFIX = "io.kestra.plugin.";
export const KINDS: readonly Kind[] = ["task", "trigger", "condition", "runner", "input"];

export class Language {
  private readonly known: Record<string, Schema>;
  private readonly byType = new Map<string, Map<string, string>>();
  private readonly listed = new Map<Kind, TypeInfo[]>();

  constructor(readonly root: Schema) {
    this.known = root.definitions ?? {};
    for (const kind of KINDS) {
      const names = new Map<string, string>();
      for (const rule of this.known[kind]?.allOf ?? []) {
        const reference = rule.then?.$ref;
        if (!reference) continue;
        const types = rule.if?.properties?.type;
        for (const name of types?.enum ?? (types?.const ? [types.const] : [])) names.set(name, reference.slice(PLACE.length));
      }
      this.byType.set(kind, names);
    }
  }

  /** The kind of thing that a definition chooses by `type`, if it is such a choice. */
  private choice(schema: Schema): Kind | null {
    const found = schema.$ref?.slice(PLACE.length);
    return KINDS.find((kind) => kind === found) ?? null;
  }

  resolve(schema: Schema): Schema {
    let found = schema;
    for (let depth = 0; found.$ref && depth < 20; depth++) {
      const { $ref, ...beside } = found;
      found = { ...(this.known[$ref.slice(PLACE.length)] ?? {}), ...beside };
    }
    return found;
  }

  /** The shapes that a value may have: without references, alternatives one by one, a choice by its type if that is known. */
  flat(schema: Schema, type: string | null = null, depth = 0): Schema[] {
    if (depth > 8) return [];
    const kind = this.choice(schema);
    if (kind) {
      const name = type ? this.definition(kind, type) : null;
      return [name ? this.known[name]! : this.known[kind]!];
    }
    const found = this.resolve(schema);
    if (found.anyOf) return found.anyOf.flatMap((each) => this.flat(each, type, depth + 1));
    return [found];
  }

  /** Name of the definition of a type, written short, whole or by an older name. */
  definition(kind: Kind, type: string): string | null {
    const names = this.byType.get(kind)!;
    return names.get(type) ?? names.get(PREFIX + type) ?? null;
  }

  ofType(kind: Kind, type: string): Schema | null {
    const name = this.definition(kind, type);
    return name ? this.known[name]! : null;
  }

  anyType(type: string): { kind: Kind; schema: Schema } | null {
    for (const kind of KINDS) {
      const schema = this.ofType(kind, type);
      if (schema) return { kind, schema };
    }
    return null;
  }

  /** Which kind a place takes, as tasks lists take tasks. */
  kindOf(schema: Schema): Kind | null {
    const found = [schema, ...(this.resolve(schema).anyOf ?? [])];
    for (const each of found) {
      const kind = this.choice(each) ?? (this.choice(each.items ?? {}));
      if (kind) return kind;
    }
    const resolved = this.resolve(schema);
    return resolved.items ? this.choice(resolved.items) : null;
  }

  types(kind: Kind): TypeInfo[] {
    const made = this.listed.get(kind);
    if (made) return made;
    const snippets = new Map((this.known[kind]?.defaultSnippets ?? []).map((each) => [each.label, each.body as Record<string, unknown>]));
    const found = new Map<string, TypeInfo>();
    for (const [name, definition] of this.byType.get(kind)!) {
      const schema = this.known[definition]!;
      const full = kind === "input" ? name : (schema.title ?? name);
      if (found.has(full)) continue;
      const short = full.startsWith(PREFIX) ? full.slice(PREFIX.length) : full;
      const example = snippets.get(short) ?? (schema.examples?.[0] as Record<string, unknown> | undefined) ?? null;
      found.set(full, {
        kind, short, full, about: schema.description ?? "", group: short.includes(".") ? short.slice(0, short.lastIndexOf(".")) : kind,
        deprecated: schema.deprecated === true, example,
      });
    }
    const list = [...found.values()].sort((a, b) => Number(a.deprecated) - Number(b.deprecated) || (a.short < b.short ? -1 : 1));
    this.listed.set(kind, list);
    return list;
  }

  /** The shapes that the value at a place may have. */
  at(entry: Entry): Schema[] {
    if (!entry.parent) return [this.root];
    const type = textAt(entry, "type");
    const step: Step = entry.key ?? entry.index ?? 0;
    return this.at(entry.parent).flatMap((each) => this.step(each, step)).flatMap((each) => this.flat(each, type));
  }

  /** The schemas of the value at a place, as they are written: with their words. */
  rawAt(entry: Entry): Schema[] {
    if (!entry.parent) return [this.root];
    return this.at(entry.parent).flatMap((each) => this.step(each, entry.key ?? entry.index ?? 0));
  }

  step(schema: Schema, step: Step): Schema[] {
    if (typeof step === "number") return schema.items ? [schema.items] : [];
    const own = schema.properties?.[step];
    if (own) return [own];
    return typeof schema.additionalProperties === "object" ? [schema.additionalProperties] : [];
  }

  /** The properties that the map at a place may have. */
  properties(entry: Entry): Map<string, { schema: Schema; required: boolean }> {
    const found = new Map<string, { schema: Schema; required: boolean }>();
    for (const each of this.at(entry)) this.collect(each, found);
    return found;
  }

  collect(schema: Schema, found: Map<string, { schema: Schema; required: boolean }>): void {
    for (const [name, inner] of Object.entries(schema.properties ?? {})) {
      if (!found.has(name)) found.set(name, { schema: this.resolveShared(inner), required: schema.required?.includes(name) ?? false });
    }
  }

  private resolveShared(schema: Schema): Schema {
    return schema.$ref?.startsWith(`${PLACE}property.`) ? { ...this.known[schema.$ref.slice(PLACE.length)] } : schema;
  }

  /** What may be written, in words. */
  words(schema: Schema): string {
    const kind = this.choice(schema);
    if (kind) return kind;
    if (schema.$ref === `${PLACE}expression`) return "{{ }}";
    if (schema.$ref && !schema.$ref.startsWith(`${PLACE}property.`)) return schema.$ref.slice(PLACE.length);
    const found = this.resolve(schema);
    if (found.anyOf) return [...new Set(found.anyOf.filter((each) => each.type !== "null").map((each) => this.words(each)))].join(", ");
    if (found.const !== undefined) return String(found.const);
    if (found.enum) return found.enum.length < 20 ? found.enum.filter((each) => each !== null).join(" | ") : "…";
    const types = typesOf(found);
    if (types.includes("array")) return terms.value_list.replace("{value}", this.words(found.items ?? {}));
    if (types.includes("object")) return terms.value_map;
    if (types.includes("boolean") && !types.includes("number")) return terms.value_flag;
    if (types.includes("integer")) return terms.value_whole;
    if (types.includes("number") && !types.includes("boolean")) return terms.value_number;
    return types.includes("string") ? terms.value_text : terms.value_any;
  }
}

export function typesOf(schema: Schema): string[] {
  return Array.isArray(schema.type) ? schema.type : schema.type ? [schema.type] : [];
}

/** Keys that are there already. */
export function siblings(parent: Entry, but: Entry | null): Set<string> {
  return new Set(parent.children.filter((each) => each !== but && each.key !== null).map((each) => each.key!));
}

export { child };
