// Where the cursor is in a YAML text: at a key, at a value, or where nothing can be offered. Pure.
import { entryAt, indentOf, outline, partAt, type Entry, type Part } from "./outline";

export interface Context {
  kind: "key" | "value";
  /** The map (or list) that the key would belong to; for a value its own entry. */
  entry: Entry;
  /** The entry of the key itself, if it is written. */
  own: Entry | null;
  root: Entry;
  /** Column where what is typed begins. */
  from: number;
  typed: string;
  /** Whether a dash already stands before it. */
  inItem: boolean;
}

const PARTIAL = /^(\s*(?:-\s+)*)("[^"]*"?|'[^']*'?|[^\s#:'"{}[\]&*!|>-][^#:]*)?$/;

export function contextAt(lines: readonly string[], line: number, column: number): Context | null {
  const text = lines[line] ?? "";
  const before = text.slice(0, column);
  const parts = outline(lines);
  if (inBlock(lines, line, parts) || /^\s*#/.test(text) || /\s#/.test(before)) return null;
  const partial = PARTIAL.exec(before);
  if (partial) {
    const lead = partial[1]!;
    const typed = partial[2] ?? "";
    const hasKey = /^\S*\s*:(\s|$)/.test(text.slice(lead.length));
    const patched = lines.slice();
    patched[line] = hasKey ? text : `${lead}${typed.trim() || "\u0001"}:`;
    const root = partAt(outline(patched), line)?.root;
    if (!root) return null;
    const own = lastOn(root, line);
    if (!own?.parent) return null;
    return { kind: "key", entry: own.parent, own, root, from: lead.length, typed, inItem: own.parent.index !== null && own.parent.line === line };
  }
  const root = partAt(parts, line)?.root;
  const own = root && lastOn(root, line);
  if (!root || !own || own.line !== line || column < own.valueFrom) return null;
  if (/^[{[]/.test(own.value)) return inBraces(root, own, text, column);
  return { kind: "value", entry: own, own, root, from: own.valueFrom, typed: text.slice(own.valueFrom, column), inItem: false };
}

function lastOn(root: Entry, line: number): Entry | null {
  const found = entryAt(root, line);
  return found.line === line && found.parent ? found : null;
}

/** Whether a line is inside of block text. */
export function inBlock(lines: readonly string[], line: number, parts: readonly Part[] = outline(lines)): boolean {
  const root = partAt(parts, line)?.root;
  if (!root) return false;
  const text = lines[line] ?? "";
  const found = entryAt(root, line);
  if (text.trim() === "") { // a blank line after block text is part of it when it is as far in
    for (let above = line - 1; above >= 0; above--) {
      if ((lines[above] ?? "").trim() === "") continue;
      const owner = entryAt(root, above);
      return owner.block && owner.line < line && indentOf(text) > owner.indent && owner.line !== line && indentOf(lines[owner.line + 1] ?? "") <= indentOf(text);
    }
    return false;
  }
  return found.block && found.line < line;
}

/** Inside of {…} or […] on one line. */
function inBraces(root: Entry, own: Entry, text: string, column: number): Context | null {
  let current: Entry = own;
  const open: { entry: Entry; brace: string; count: number; key: Entry | null }[] = [];
  let word = own.valueFrom;
  let key: string | null = null;
  const push = (parent: Entry, name: string | null, index: number | null): Entry => {
    const made: Entry = {
      parent, key: name, index, line: own.line, indent: own.indent + 1, keyTo: word, valueFrom: word, value: "", last: own.line, children: [], block: false,
    };
    parent.children.push(made);
    return made;
  };
  for (let place = own.valueFrom; place < column; place++) {
    const char = text[place]!;
    if (char === '"' || char === "'") {
      const end = text.indexOf(char, place + 1);
      if (end === -1 || end >= column) { word = place; break; }
      place = end;
    } else if (char === "{" && text[place + 1] === "{") { // an expression, not a map
      const end = text.indexOf("}}", place);
      if (end === -1 || end >= column) return null;
      place = end + 1;
    } else if (char === "{" || char === "[") {
      if (open.length) {
        const holder = open[open.length - 1]!;
        current = holder.brace === "[" ? push(holder.entry, null, holder.count) : push(holder.entry, key, null);
      }
      open.push({ entry: current, brace: char, count: 0, key: null });
      key = null;
      word = place + 1;
    } else if (char === "}" || char === "]") {
      open.pop();
      if (!open.length) return null;
      key = null;
    } else if (char === ",") {
      const holder = open[open.length - 1];
      if (!holder) return null;
      const said = text.slice(word, place).trim();
      if (holder.brace === "{" && key !== null && !holder.entry.children.some((each) => each.key === key)) push(holder.entry, key, null).value = said;
      if (holder.brace === "[") holder.count++;
      key = null;
      word = place + 1;
    } else if (char === ":" && /[\s]/.test(text[place + 1] ?? " ") && open[open.length - 1]?.brace === "{") {
      key = text.slice(word, place).trim();
      word = place + 1;
    }
  }
  const holder = open[open.length - 1];
  if (!holder) return null;
  const from = word + (text.slice(word, column).length - text.slice(word, column).trimStart().length);
  const typed = text.slice(from, column);
  for (const match of text.slice(column).matchAll(/[,{]\s*([A-Za-z_]\w*)\s*:\s*("[^"]*"|'[^']*'|[^,}]*)/g)) {
    if (holder.brace === "{" && !holder.entry.children.some((each) => each.key === match[1])) push(holder.entry, match[1]!, null).value = match[2]!.trim();
  }
  if (holder.brace === "{" && key === null) return { kind: "key", entry: holder.entry, own: null, root, from, typed, inItem: false };
  const made = holder.brace === "{" ? push(holder.entry, key, null) : push(holder.entry, null, holder.count);
  return { kind: "value", entry: made, own: made, root, from, typed, inItem: false };
}
