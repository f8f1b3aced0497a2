// The fields of a form, made from the schema: each kind of value its control; whatever does not fit one is written as YAML, so nothing is lost.
import type { EditorView } from "@codemirror/view";
import { parse, stringify } from "yaml";
import { nocode as words } from "../../../../strings.json";
import { fill, make } from "../dom";
import { completeExpressions, prose } from "./assist";
import { holds, keyOf } from "./blocks";
import type { Entry, Step } from "./outline";
import { typesOf, type Kind, type Language, type Schema } from "./schema";
import { mount } from "./view";

export interface Form {
  language: Language;
  readOnly: boolean;
  /** The type of the block whose properties these are. */
  type: string;
  set(path: Step[], value: unknown): void;
  /** Name of the anchor if the value at a place is only a reference to it. */
  alias(path: Step[]): string | null;
  /** Places whose fields somebody wants as YAML, and folds that are open. */
  raw: Set<string>;
  open: Set<string>;
  again(): void;
  editors: EditorView[];
  /** The flow that it is about, for the names that expressions know. */
  root(): Entry | null;
  chooseType(kind: Kind): Promise<string | null>;
}

const LONG = new Set(["description", "message", "body", "content", "format", "errorMessage", "text", "values"]);
const CODE: Record<string, string> = { script: "", sql: "a.sql", query: "a.sql", expression: "" };
const LANGUAGES: [RegExp, string][] = [
  [/scripts\.python/, "a.py"], [/scripts\.(shell|bash)/, "a.sh"], [/scripts\.(node|bun|deno)/, "a.js"], [/scripts\.r\./, "a.r"], [/jdbc/, "a.sql"],
];
const isMap = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const isPlain = (value: unknown): boolean => value === undefined || value === null || typeof value !== "object";
let number = 0;

/** The fields of a map: what must be there and what is there first, the rest in a fold. but: keys that stand elsewhere. */
export function fieldsOf(form: Form, path: Step[], value: Record<string, unknown>, schemas: readonly Schema[], but: ReadonlySet<string>): HTMLElement[] {
  const known = new Map<string, { schema: Schema; required: boolean }>();
  for (const each of schemas) form.language.collect(each, known);
  const shown: HTMLElement[] = [];
  const rest: HTMLElement[] = [];
  const free = schemas.some((each) => each.additionalProperties !== false && !each.properties);
  const order = [...known].sort(([, a], [, b]) => Number(b.required) - Number(a.required));
  for (const [name, { schema, required }] of order) {
    if (but.has(name)) continue;
    if (holds(schema, form.language)) continue;
    const there = name in value;
    if (!there && schema.deprecated) continue;
    (there || required ? shown : rest).push(field(form, [...path, name], name, schema, value[name], required));
  }
  for (const name of Object.keys(value)) {
    if (known.has(name) || but.has(name)) continue;
    shown.push(free ? field(form, [...path, name], name, {}, value[name], false) : field(form, [...path, name], name, { description: words.unknown }, value[name], false, true));
  }
  const key = `more ${keyOf(path)}`;
  if (rest.length && !form.readOnly) {
    const fold = make("details", { class: "nc-more", open: form.open.has(key) }, make("summary", {}, fill(words.more_properties, { n: rest.length })), ...rest);
    fold.addEventListener("toggle", () => { if (fold.open) form.open.add(key); else form.open.delete(key); });
    shown.push(fold);
  }
  return shown;
}

/** One property with its words and its control. */
export function field(form: Form, path: Step[], name: string, schema: Schema, value: unknown, required: boolean, unknown = false): HTMLElement {
  const id = `nc-${++number}`;
  const key = keyOf(path);
  const shapes = form.language.flat(schema).filter((each) => !(typesOf(each).length === 1 && typesOf(each)[0] === "null"));
  const alias = form.alias(path);
  const raw = form.raw.has(key) || unknown;
  const about = make("div", { class: "note", id: `${id}-about` }, ...prose(schema.description ?? ""));
  const problem = make("div", { class: "errors", id: `${id}-error`, role: "alert" });
  const used = { id, described: `${id}-about ${id}-error`, problem, label: name };
  const control = alias !== null ? make("p", { class: "dim" }, fill(words.alias, { name: alias })) : raw ? rawControl(form, path, value, used) : controlFor(form, path, name, schema, shapes, value, required, used);
  const group = control.matches("fieldset, .nc-group");
  const more = make("span", { class: "nc-tools" });
  if (!form.readOnly && alias === null && !unknown) {
    const toggle = make("button", { type: "button", class: "nc-tool", "aria-pressed": String(raw), "aria-label": fill(words.as_yaml, { name }), title: fill(words.as_yaml, { name }) }, "YAML");
    toggle.addEventListener("click", () => { if (form.raw.has(key)) form.raw.delete(key); else form.raw.add(key); form.again(); });
    more.append(toggle);
  }
  if (!form.readOnly && !required && value !== undefined) {
    const clear = make("button", { type: "button", class: "nc-tool", "aria-label": fill(words.unset, { name }), title: fill(words.unset, { name }) }, "×");
    clear.addEventListener("click", () => { form.raw.delete(key); form.set(path, undefined); form.again(); });
    more.append(clear);
  }
  const must = required ? make("span", { class: "must", title: words.required }, " *") : null;
  const head = group ? make("div", { class: "nc-label", id: `${id}-label` }, make("span", {}, name, must), make("small", { class: "type" }, form.language.words(schema)), more)
    : make("div", { class: "nc-label" }, make("label", { for: id }, name, must), make("small", { class: "type" }, form.language.words(schema)), more);
  if (group) { control.setAttribute("role", "group"); control.setAttribute("aria-labelledby", `${id}-label`); }
  return make("div", { class: `field nc-field${unknown ? " unknown" : ""}`, "data-field": key }, head, control, about, problem);
}

interface Used { id: string; described: string; problem: HTMLElement; label: string }

function controlFor(form: Form, path: Step[], name: string, schema: Schema, shapes: readonly Schema[], value: unknown, required: boolean, used: Used): HTMLElement {
  const kind = form.language.kindOf(schema);
  if (kind && kind !== "task" && !shapes.some((each) => each.items) && (value === undefined || value === null || isMap(value))) return choice(form, path, kind, value, used);
  const list = shapes.find((each) => each.items);
  const map = shapes.find((each) => each.properties || typesOf(each).includes("object"));
  const plain = shapes.filter((each) => !each.items && each !== map);
  if (Array.isArray(value) || (value === undefined && list && !plain.length)) return listControl(form, path, list?.items ?? {}, Array.isArray(value) ? value : [], used);
  if (isMap(value) || (value === undefined && map && !plain.length)) {
    if (map?.properties) return fold(form, path, isMap(value) ? value : {}, [map], value === undefined);
    return mapControl(form, path, isMap(value) ? value : {}, typeof map?.additionalProperties === "object" ? map.additionalProperties : {}, used);
  }
  if (!isPlain(value) || (!plain.length && !list && !map)) return isPlain(value) ? text(form, path, value, required, used) : rawControl(form, path, value, used);
  const options = plain.flatMap((each) => (each.const !== undefined ? [each.const] : (each.enum ?? []))).filter((each) => each !== null).map(String);
  const types = plain.flatMap((each) => typesOf(each));
  const free = plain.some((each) => (!each.enum && each.const === undefined && typesOf(each).includes("string")) || each.pattern?.includes("{{"));
  if (options.length) return free ? combo(form, path, value, options, schema, used) : select(form, path, value, options, schema, required, used);
  if (types.includes("boolean") && !types.includes("number")) return plain.length > 1 && free && plain.some((each) => each.pattern?.includes("\\{\\{") || each.pattern?.includes("{{")) ? combo(form, path, value, ["true", "false"], schema, used) : select(form, path, value, ["true", "false"], schema, required, used);
  const code = codeName(form, name, path);
  if (code !== null) return codeControl(form, path, value, code, used);
  return text(form, path, value, required, used, schema, LONG.has(name));
}

function codeName(form: Form, name: string, path: Step[]): string | null {
  if (!(name in CODE) && !(path.includes("inputFiles") && name.includes("."))) return null;
  if (path.includes("inputFiles")) return name;
  return CODE[name] || (LANGUAGES.find(([pattern]) => pattern.test(form.type))?.[1] ?? (name === "script" ? "a.txt" : null));
}

function attributes(form: Form, path: Step[], used: Used): Record<string, string | boolean | null> {
  return { id: used.id, "aria-describedby": used.described, "data-path": keyOf(path), disabled: form.readOnly, autocomplete: "off", spellcheck: "false" };
}

/** What somebody typed as a value: numbers and true or false where the schema or the old value says so. */
export function typed(written: string, old: unknown, schema: Schema | undefined, language: Language): unknown {
  const shapes = schema ? language.flat(schema) : [];
  const types = shapes.flatMap((each) => typesOf(each));
  const texts = shapes.some((each) => typesOf(each).includes("string") && !each.pattern) || shapes.some((each) => each.enum);
  if ((types.includes("integer") || (types.includes("number") && !texts) || typeof old === "number") && /^[-+]?\d+(\.\d+)?$/.test(written)) return Number(written);
  if (((types.includes("boolean") && !types.includes("number")) || typeof old === "boolean") && /^(true|false)$/.test(written)) return written === "true";
  return written;
}

function text(form: Form, path: Step[], value: unknown, required: boolean, used: Used, schema?: Schema, long = false): HTMLElement {
  const shown = value === undefined || value === null ? "" : String(value);
  const area = long || shown.includes("\n");
  const made = area ? make("textarea", { ...attributes(form, path, used), rows: Math.min(Math.max(shown.split("\n").length, 2), 16) }) : make("input", { ...attributes(form, path, used), type: "text" });
  made.value = shown;
  if (schema?.default !== undefined && schema.default !== null) made.placeholder = typeof schema.default === "object" ? JSON.stringify(schema.default) : String(schema.default);
  made.addEventListener("change", () => form.set(path, made.value === "" && !required ? undefined : typed(made.value, value, schema, form.language)));
  return made;
}

function combo(form: Form, path: Step[], value: unknown, options: readonly string[], schema: Schema, used: Used): HTMLElement {
  const made = make("input", { ...attributes(form, path, used), type: "text", list: `${used.id}-list` });
  made.value = value === undefined || value === null ? "" : String(value);
  if (schema.default !== undefined && schema.default !== null) made.placeholder = String(schema.default);
  made.addEventListener("change", () => form.set(path, made.value === "" ? undefined : typed(made.value, value, schema, form.language)));
  return make("div", {}, made, make("datalist", { id: `${used.id}-list` }, ...options.map((each) => make("option", { value: each }))));
}

function select(form: Form, path: Step[], value: unknown, options: readonly string[], schema: Schema, required: boolean, used: Used): HTMLElement {
  const now = value === undefined || value === null ? "" : String(value);
  const usual = schema.default !== undefined && schema.default !== null ? fill(words.default_is, { value: String(schema.default) }) : words.not_set;
  const listed = now && !options.includes(now) ? [now, ...options] : options;
  const made = make("select", attributes(form, path, used), required && now ? null : make("option", { value: "" }, usual), ...listed.map((each) => make("option", { value: each, selected: each === now }, each)));
  made.addEventListener("change", () => form.set(path, made.value === "" ? undefined : typed(made.value, value, schema, form.language)));
  return made;
}

function codeControl(form: Form, path: Step[], value: unknown, name: string, used: Used): HTMLElement {
  const made = make("div", { class: "nc-code", id: used.id, "data-path": keyOf(path) });
  const before = value === undefined || value === null ? "" : String(value);
  const view = mount(made, { text: before, name, label: used.label, readOnly: form.readOnly, small: true, complete: completeExpressions(form.root) });
  form.editors.push(view);
  view.contentDOM.addEventListener("blur", () => {
    const now = view.state.doc.toString();
    if (now !== before) form.set(path, now === "" ? undefined : before.endsWith("\n") || !now.includes("\n") || now.endsWith("\n") ? now : `${now}\n`);
  });
  return made;
}

function rawControl(form: Form, path: Step[], value: unknown, used: Used): HTMLElement {
  const shown = value === undefined ? "" : stringify(value, { lineWidth: 0 }).trimEnd();
  const made = make("textarea", { ...attributes(form, path, used), class: "nc-raw", rows: Math.min(Math.max(shown.split("\n").length, 2), 16) });
  made.value = shown;
  made.addEventListener("change", () => {
    try {
      form.set(path, made.value.trim() === "" ? undefined : parse(made.value));
      used.problem.replaceChildren();
      made.removeAttribute("aria-invalid");
    } catch (error) {
      used.problem.replaceChildren(make("p", {}, String(error instanceof Error ? error.message : error).split("\n")[0]!));
      made.setAttribute("aria-invalid", "true");
    }
  });
  return made;
}

function tools(form: Form, path: Step[], index: number, items: readonly unknown[], name: string): HTMLElement | null {
  if (form.readOnly) return null;
  const button = (label: string, sign: string, act: () => void, off = false): HTMLElement => {
    const made = make("button", { type: "button", class: "nc-tool", "aria-label": `${label}: ${name} ${index + 1}`, title: label, disabled: off }, sign);
    made.addEventListener("click", () => { act(); form.again(); });
    return made;
  };
  const moved = (to: number): void => { const made = [...items]; made.splice(to, 0, ...made.splice(index, 1)); form.set(path, made); };
  return make("span", { class: "nc-tools" },
    button(words.up, "↑", () => moved(index - 1), index === 0), button(words.down, "↓", () => moved(index + 1), index === items.length - 1),
    button(words.remove, "×", () => form.set(items.length === 1 ? path : [...path, index], undefined)));
}

function listControl(form: Form, path: Step[], item: Schema, items: readonly unknown[], used: Used): HTMLElement {
  const made = make("fieldset", { class: "nc-list nc-group" });
  const shapes = form.language.flat(item);
  const inner = shapes.find((each) => each.properties);
  const kind = form.language.kindOf(item);
  items.forEach((each, index) => {
    const place = [...path, index];
    const row = { ...used, id: `nc-${++number}`, label: `${used.label} ${index + 1}` };
    if (isPlain(each) && !inner) {
      const control = text(form, place, each, true, row, item, typeof each === "string" && each.includes("\n"));
      control.setAttribute("aria-label", row.label);
      made.append(make("div", { class: "nc-row" }, control, tools(form, path, index, items, used.label)));
    } else if (kind && isMap(each)) made.append(make("div", { class: "nc-item" }, tools(form, path, index, items, used.label), choice(form, place, kind, each, row)));
    else if (inner && isMap(each)) made.append(make("div", { class: "nc-item" }, tools(form, path, index, items, used.label), ...fieldsOf(form, place, each, [inner], new Set())));
    else made.append(make("div", { class: "nc-row" }, rawControl(form, place, each, row), tools(form, path, index, items, used.label)));
  });
  if (!form.readOnly) {
    const add = make("button", { type: "button", class: "button small", "data-path": `${keyOf(path)}+` }, fill(words.add_item, { name: used.label }));
    add.addEventListener("click", () => {
      if (kind) { void form.chooseType(kind).then((type) => { if (type) { form.set(path, [...items, { type }]); form.again(); } }); return; }
      form.set(path, [...items, inner ? Object.fromEntries((inner.required ?? Object.keys(inner.properties ?? {}).slice(0, 1)).map((each) => [each, ""])) : ""]);
      form.again();
    });
    made.append(add);
  }
  return made;
}

function mapControl(form: Form, path: Step[], map: Record<string, unknown>, inner: Schema, used: Used): HTMLElement {
  const made = make("fieldset", { class: "nc-map nc-group" });
  const long = form.language.flat(inner).find((each) => each.properties);
  for (const [key, value] of Object.entries(map)) {
    const name = make("input", { type: "text", value: key, "aria-label": fill(words.key_of, { name: used.label }), disabled: form.readOnly, autocomplete: "off", spellcheck: "false" });
    name.addEventListener("change", () => {
      if (!name.value || name.value in map) { name.value = key; return; }
      form.set(path, Object.fromEntries(Object.entries(map).map(([each, one]) => [each === key ? name.value : each, one])));
      form.again();
    });
    const row = { ...used, id: `nc-${++number}`, label: `${used.label} ${key}` };
    const code = codeName(form, key, [...path, key]);
    const control = code !== null && isPlain(value) ? codeControl(form, [...path, key], value, code, row) : isPlain(value) ? text(form, [...path, key], value, true, row, inner) : long && isMap(value) ? fold(form, [...path, key], value, [long], false) : rawControl(form, [...path, key], value, row);
    control.setAttribute("aria-label", row.label);
    const gone = make("button", { type: "button", class: "nc-tool", "aria-label": fill(words.unset, { name: key }), title: fill(words.unset, { name: key }) }, "×");
    gone.addEventListener("click", () => { form.set([...path, key], undefined); form.again(); });
    made.append(make("div", { class: "nc-row nc-pair" }, name, control, form.readOnly ? null : gone));
  }
  if (!form.readOnly) {
    const add = make("button", { type: "button", class: "button small", "data-path": `${keyOf(path)}+` }, fill(words.add_key, { name: used.label }));
    add.addEventListener("click", () => {
      let key = "key";
      for (let count = 2; key in map; count++) key = `key${count}`;
      form.set([...path, key], "");
      form.again();
    });
    made.append(add);
  }
  return made;
}

/** A map of named properties, folded until somebody opens it. */
function fold(form: Form, path: Step[], value: Record<string, unknown>, schemas: Schema[], empty: boolean): HTMLElement {
  const key = `fold ${keyOf(path)}`;
  const open = form.open.has(key) || (!empty && Object.keys(value).length > 0 && path.length < 5);
  const body = make("div", { class: "nc-inner" });
  const made = make("details", { class: "nc-fold nc-group", open }, make("summary", {}, empty ? words.not_set : Object.keys(value).join(", ") || words.not_set), body);
  const draw = (): void => { if (!body.childElementCount) body.append(...fieldsOf(form, path, value, schemas, new Set())); };
  if (open) draw();
  made.addEventListener("toggle", () => { if (made.open) { form.open.add(key); draw(); } else form.open.delete(key); });
  return made;
}

/** Something that is chosen by its type: a runner, a condition. */
function choice(form: Form, path: Step[], kind: Kind, value: unknown, used: Used): HTMLElement {
  const map = isMap(value) ? value : {};
  const type = typeof map["type"] === "string" ? map["type"] : "";
  const types = form.language.types(kind);
  const known = types.find((each) => each.short === type || each.full === type);
  const made = make("select", { id: used.id, "aria-label": fill(words.type_of, { name: used.label }), "data-path": keyOf([...path, "type"]), disabled: form.readOnly },
    make("option", { value: "" }, words.not_set), type && !known ? make("option", { value: type, selected: true }, type) : null,
    ...types.map((each) => make("option", { value: each.short, selected: each === known }, each.short)));
  made.addEventListener("change", () => {
    if (made.value === "") form.set(path, undefined);
    else form.set(path, type ? { ...map, type: made.value } : { type: made.value });
    form.again();
  });
  const schema = type ? form.language.ofType(kind, type) : null;
  return make("fieldset", { class: "nc-choice nc-group" }, made, ...(schema ? fieldsOf(form, path, map, [schema], new Set(["type"])) : []));
}
