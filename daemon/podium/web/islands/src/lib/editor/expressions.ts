// What can be written inside of {{ … }}: variables, functions, filters, the names that this flow has. Pure.
import { at, child, textAt, unquote, type Entry } from "./outline";

export interface Called { name: string; parameters: string[]; about: string; dialects: string[] }
export interface Vocabulary {
  functions: Called[];
  filters: Called[];
  variables: { name: string; about: string; members: string[] }[];
  triggers: Record<string, string[]>;
  outputs: Record<string, string[]>;
}
export interface Offer { label: string; detail?: string; about?: string; apply: string; kind: "variable" | "function" | "filter" | "property"; /** Where the cursor goes, from the end. */ back?: number }

const PREFIX = "io.kestra.plugin.";
const SEARCH_MAX = 4_000;

/** The expression that a place of the text is in: what stands before it, or null outside of one. */
export function expressionBefore(text: string, place: number): string | null {
  const before = text.slice(Math.max(0, place - SEARCH_MAX), place);
  const open = Math.max(before.lastIndexOf("{{"), before.lastIndexOf("{%"));
  if (open === -1) return null;
  const inside = before.slice(open + 2);
  return inside.includes("}}") || inside.includes("%}") ? null : inside.replace(/^-/, "");
}

/** What can go on where an expression stops, and where the word that is being typed begins in it. */
export function expressionOffers(inside: string, root: Entry, words: Vocabulary): { from: number; offers: Offer[] } {
  if (inString(inside)) return { from: inside.length, offers: stringOffers(inside, root) };
  const filter = /\|\s*([A-Za-z]\w*)?$/.exec(inside);
  if (filter) return { from: inside.length - (filter[1]?.length ?? 0), offers: words.filters.map((each) => ({ ...called(each, "filter"), kind: "filter" })) };
  const member = /((?:[A-Za-z_]\w*|\[\s*(?:'[^']*'|"[^"]*")\s*\])(?:\.[A-Za-z_]\w*|\[\s*(?:'[^']*'|"[^"]*"|\d+)\s*\])*)\.([A-Za-z_]\w*)?$/.exec(inside);
  if (member) {
    const typed = member[2] ?? "";
    return { from: inside.length - typed.length, offers: members(steps(member[1]!), root, words) };
  }
  const word = /(?:^|[^\w.'"])([A-Za-z_]\w*)?$/.exec(inside);
  if (!word) return { from: inside.length, offers: [] };
  const variables: Offer[] = words.variables.map((each) => ({ label: each.name, about: each.about, apply: each.name, kind: "variable" }));
  return { from: inside.length - (word[1]?.length ?? 0), offers: [...variables, ...words.functions.map((each) => called(each, "function"))] };
}

function called(each: Called, kind: "function" | "filter"): Offer {
  const only = each.dialects.length === 1 ? ` (${each.dialects[0]})` : "";
  const needs = each.parameters.length > 0;
  return {
    label: each.name, detail: `(${each.parameters.join(", ")})${only}`, about: each.about, kind,
    apply: kind === "function" || needs ? `${each.name}()` : each.name, ...(needs ? { back: 1 } : {}),
  };
}

function inString(inside: string): boolean {
  let quote = "";
  for (const char of inside) {
    if (quote) { if (char === quote) quote = ""; } else if (char === "'" || char === '"') quote = char;
  }
  return quote !== "";
}

/** In outputs['…: the ids that cannot be written after a point. */
function stringOffers(inside: string, root: Entry): Offer[] {
  const match = /\b(outputs|inputs|vars|tasks)\[\s*['"]([^'"]*)$/.exec(inside);
  if (!match) return [];
  return names(match[1]!, root).map((each) => ({ label: each.name, apply: each.name, kind: "property", ...(each.detail ? { detail: each.detail } : {}) }));
}

export function steps(chain: string): string[] {
  return [...chain.matchAll(/([A-Za-z_]\w*)|\[\s*(?:'([^']*)'|"([^"]*)"|(\d+))\s*\]/g)].map((each) => each[1] ?? each[2] ?? each[3] ?? each[4] ?? "");
}

interface Name { name: string; detail?: string; about?: string }

function names(variable: string, root: Entry): Name[] {
  if (variable === "outputs" || variable === "tasks") return tasks(root).map((each) => ({ name: each.id, detail: short(each.type) }));
  if (variable === "inputs") return inputs(root);
  const found = child(root, variable === "vars" ? "variables" : variable);
  return (found?.children ?? []).filter((each) => each.key !== null).map((each) => ({ name: each.key!, detail: unquote(each.value).slice(0, 40) }));
}

function members(path: string[], root: Entry, words: Vocabulary): Offer[] {
  const [variable, ...rest] = path;
  let found: Name[] = [];
  if (variable === "outputs" && rest.length === 1) found = outputsOf(rest[0]!, root, words);
  else if (variable === "tasks" && rest.length === 1) found = [{ name: "state" }];
  else if (variable === "trigger" && rest.length === 0) found = triggerMembers(root, words);
  else if (variable === "vars" && rest.length > 0) found = keysAt(root, ["variables", ...rest]);
  else if (variable === "labels" && rest.length === 0) found = labels(root);
  else if (rest.length === 0 && ["outputs", "tasks", "inputs", "vars"].includes(variable!)) found = names(variable!, root);
  else if (rest.length === 0) found = (words.variables.find((each) => each.name === variable)?.members ?? []).map((name) => ({ name }));
  return found.map((each) => ({
    label: each.name, kind: "property", ...(each.detail ? { detail: each.detail } : {}), ...(each.about ? { about: each.about } : {}),
    apply: each.name,
  }));
}

function keysAt(root: Entry, path: string[]): Name[] {
  return (at(root, path)?.children ?? []).filter((each) => each.key !== null).map((each) => ({ name: each.key! }));
}

function labels(root: Entry): Name[] {
  const found = child(root, "labels")?.children ?? [];
  return found.map((each) => ({ name: each.key ?? textAt(each, "key") ?? "" })).filter((each) => each.name !== "");
}

export function inputs(root: Entry): Name[] {
  const found = child(root, "inputs")?.children ?? [];
  return found.map((each) => ({ name: textAt(each, "id") ?? "", detail: textAt(each, "type") ?? "", about: textAt(each, "description") ?? "" })).filter((each) => each.name !== "");
}

/** Every task of a flow, at any depth, in reading order. */
export function tasks(root: Entry): { id: string; type: string; entry: Entry }[] {
  const found: { id: string; type: string; entry: Entry }[] = [];
  const visit = (each: Entry): void => {
    const id = each.index !== null ? textAt(each, "id") : null;
    const type = id ? textAt(each, "type") : null;
    if (id && type) found.push({ id, type, entry: each });
    each.children.forEach(visit);
  };
  for (const list of ["tasks", "errors", "finally", "afterExecution"]) child(root, list)?.children.forEach(visit);
  return found;
}

const short = (type: string): string => type.replace(PREFIX, "");
const whole = (type: string): string => (type.startsWith("io.") || type.startsWith("podium.") ? type : PREFIX + type);

function outputsOf(id: string, root: Entry, words: Vocabulary): Name[] {
  const type = tasks(root).find((each) => each.id === id)?.type;
  if (!type) return [];
  return (words.outputs[whole(type)] ?? words.outputs[type] ?? []).map((name) => ({ name, detail: short(type) }));
}

function triggerMembers(root: Entry, words: Vocabulary): Name[] {
  const found = new Map<string, Name>();
  for (const each of child(root, "triggers")?.children ?? []) {
    const type = textAt(each, "type");
    if (!type) continue;
    for (const name of words.triggers[whole(type)] ?? words.outputs[whole(type)] ?? []) found.set(name, { name, detail: textAt(each, "id") ?? "" });
  }
  return [...found.values()];
}

/** A word of an expression, for who points at it. */
export function explain(word: string, isFilter: boolean, words: Vocabulary): { title: string; about: string } | null {
  const found = (isFilter ? words.filters : words.functions).find((each) => each.name === word);
  if (found) return { title: `${found.name}(${found.parameters.join(", ")})`, about: found.about };
  const variable = isFilter ? undefined : words.variables.find((each) => each.name === word);
  return variable ? { title: variable.name, about: variable.about } : null;
}
