// The shape of a YAML text, line by line: which key or item stands where. Bears texts that are no YAML yet, as they are while somebody types.
// Pure. What always holds: one pass over the lines, and every entry knows its parent, so that a path is found from any line.

export type Step = string | number;

export interface Entry {
  parent: Entry | null;
  /** Of a map; null for an item of a list. */
  key: string | null;
  /** Of a list; null for a key. */
  index: number | null;
  line: number;
  /** Column of the key, or of the dash. */
  indent: number;
  keyTo: number;
  /** Column where the value begins on this line. */
  valueFrom: number;
  /** What of the value stands on this line, without a comment. */
  value: string;
  /** The last line that belongs to it; comments and blank lines after it do not. */
  last: number;
  children: Entry[];
  /** Whether its value is block text (| or >). */
  block: boolean;
}

export interface Part {
  /** First line of the document, after its ---. */
  from: number;
  /** Line after its last. */
  to: number;
  root: Entry;
}

const KEY = /^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#&*!|>%@`"'{}[\],?:-][^#:]*?(?::[^\s#:][^#:]*?)*|[-?:][^\s#:][^#:]*?|<<|\u0001|\?[^\s])\s*:(?=\s|$)/;
const BLOCK = /^(?:[&!]\S*\s+)*[|>][-+0-9]*\s*(?:#.*)?$/;

const isBlank = (line: string): boolean => /^\s*(#.*)?$/.test(line);
export const indentOf = (line: string): number => line.length - line.trimStart().length;

/** The documents of a text. */
export function outline(lines: readonly string[]): Part[] {
  const parts: Part[] = [];
  let part = open(0);
  let stack: Entry[] = [part.root];
  let block: Entry | null = null; // whose block text we are in
  let flow = 0; // brackets that are open
  let quote = ""; // a quoted text that goes on
  const content = (line: number): void => { for (const each of stack) each.last = line; };
  const close = (line: number): void => { part.to = line; parts.push(part); };
  for (let number = 0; number < lines.length; number++) {
    const line = lines[number]!;
    if (block) {
      if (line.trim() === "" || indentOf(line) > block.indent) {
        if (line.trim() !== "") content(number);
        continue;
      }
      block = null;
    }
    if (flow > 0 || quote) {
      [flow, quote] = bracketsAfter(line, 0, flow, quote);
      content(number);
      continue;
    }
    if (/^(---|\.\.\.)(\s|$)/.test(line)) {
      close(number);
      part = open(number + 1);
      stack = [part.root];
      continue;
    }
    if (isBlank(line)) continue;
    let column = indentOf(line);
    let added = false;
    while (line[column] === "-" && (column + 1 === line.length || /\s/.test(line[column + 1]!))) {
      while (stack.length > 1 && (top(stack).indent > column || (top(stack).indent === column && top(stack).index !== null))) stack.pop();
      const parent = top(stack);
      const after = column + 1 + (line.slice(column + 1).length - line.slice(column + 1).trimStart().length);
      const made = entry(parent, null, parent.children.length, number, column, column + 1, after, valueOf(line, after));
      parent.children.push(made);
      stack.push(made);
      added = true;
      column = after;
    }
    const rest = line.slice(column);
    const key = rest.startsWith("#") ? null : KEY.exec(rest);
    if (key) {
      while (stack.length > 1 && top(stack).indent >= column && !(added && top(stack).line === number && top(stack).indent < column)) stack.pop();
      const parent = top(stack);
      const colon = column + key[0].length;
      const gap = line.slice(colon).length - line.slice(colon).trimStart().length;
      const made = entry(parent, unquote(key[1]!), null, number, column, column + key[1]!.length, colon + gap, valueOf(line, colon));
      parent.children.push(made);
      stack.push(made);
      added = true;
    }
    content(number);
    if (!added) continue;
    const last = top(stack);
    if (BLOCK.test(last.value)) {
      last.block = true;
      block = last;
    } else {
      const bare = last.value.replace(/^(?:[&!]\S*\s+)*/, "");
      if (/^[[{"']/.test(bare)) [flow, quote] = bracketsAfter(bare, 0, 0, "");
    }
  }
  close(lines.length);
  return parts.filter((each) => each.root.children.length > 0 || parts.length === 1 || each.to > each.from);
}

function open(line: number): Part {
  const root: Entry = entry(null, null, null, line, -1, 0, 0, "");
  return { from: line, to: line, root };
}

function entry(
  parent: Entry | null, key: string | null, index: number | null, line: number, indent: number, keyTo: number, valueFrom: number, value: string
): Entry {
  return { parent, key, index, line, indent, keyTo, valueFrom, value, last: line, children: [], block: false };
}

const top = (stack: Entry[]): Entry => stack[stack.length - 1]!;

function valueOf(line: string, from: number): string {
  const text = line.slice(from).trim();
  if (text.startsWith("#")) return "";
  if (/^["'[{]/.test(text)) return text;
  return text.replace(/\s+#.*$/, "");
}

/** Brackets and the quote that are open after a piece of text. */
function bracketsAfter(text: string, from: number, depth: number, quote: string): [number, string] {
  for (let at = from; at < text.length; at++) {
    const char = text[at]!;
    if (quote) {
      if (quote === '"' && char === "\\") at++;
      else if (char === quote) quote = quote === "'" && text[at + 1] === "'" ? (at++, quote) : "";
    } else if ((char === '"' || char === "'") && (at === 0 || /[\s[{,:]/.test(text[at - 1]!))) quote = char;
    else if (char === "#" && at > 0 && /\s/.test(text[at - 1]!)) break;
    else if (char === "[" || char === "{") depth++;
    else if (char === "]" || char === "}") depth = Math.max(0, depth - 1);
  }
  return [depth, quote];
}

/** A key or plain value as text. */
export function unquote(text: string): string {
  const bare = text.trim().replace(/^(?:[&!]\S*\s+)+/, "");
  if (bare.length >= 2 && bare.startsWith('"') && bare.endsWith('"')) {
    try { return String(JSON.parse(bare)); } catch { return bare.slice(1, -1); }
  }
  if (bare.length >= 2 && bare.startsWith("'") && bare.endsWith("'")) return bare.slice(1, -1).replaceAll("''", "'");
  return bare;
}

export function pathOf(found: Entry): Step[] {
  const path: Step[] = [];
  for (let each: Entry | null = found; each && each.parent; each = each.parent) path.unshift(each.key ?? each.index ?? 0);
  return path;
}

export function child(found: Entry, step: Step): Entry | null {
  return found.children.find((each) => each.key === step || each.index === step) ?? null;
}

export function at(root: Entry, path: readonly Step[]): Entry | null {
  let found: Entry | null = root;
  for (const step of path) found = found && child(found, step);
  return found;
}

/** What a key of a map says, as text; also of a map in braces. */
export function textAt(found: Entry, key: string): string | null {
  const inner = child(found, key);
  if (inner) return unquote(inner.value);
  if (found.value.startsWith("{")) {
    const match = new RegExp(`[{,]\\s*${key}\\s*:\\s*("[^"]*"|'[^']*'|[^,}]*)`).exec(found.value);
    return match ? unquote(match[1]!) : null;
  }
  return null;
}

/** The document that a line belongs to. */
export function partAt(parts: readonly Part[], line: number): Part | null {
  return parts.find((each) => line >= each.from && line < each.to) ?? parts.findLast((each) => line >= each.from) ?? parts[0] ?? null;
}

/** The innermost entry that a line belongs to. */
export function entryAt(root: Entry, line: number): Entry {
  let found = root;
  for (;;) {
    const inner = found.children.findLast((each) => each.line <= line && each.last >= line);
    if (!inner) return found;
    found = inner;
  }
}

const LISTS = new Set(["tasks", "errors", "finally", "afterExecution", "then", "else", "defaults", "cases", "localErrors", "triggers", "inputs"]);

/** The task (or trigger, input) that a line belongs to: its path, id and type; the innermost one. */
export function blockAt(root: Entry, line: number): { id: string; path: Step[] } | null {
  for (let each: Entry | null = entryAt(root, line); each; each = each.parent) {
    if (each.index === null || !each.parent) continue;
    const id = textAt(each, "id");
    if (id && (LISTS.has(String(each.parent.key)) || textAt(each, "type"))) return { id, path: pathOf(each) };
  }
  return null;
}

/** The entry of the task with an id. */
export function taskEntry(root: Entry, id: string): Entry | null {
  const waiting = [root];
  while (waiting.length) {
    const each = waiting.shift()!;
    if (each.index !== null && textAt(each, "id") === id && each.parent?.key !== "inputs") return each;
    waiting.push(...each.children);
  }
  return null;
}
