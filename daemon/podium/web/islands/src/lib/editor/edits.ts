// Changes of a YAML text that touch only the node they are about: comments, order, quotes and anchors of all the rest stay as they are. Pure.
//
// A change is made in the lines where the node stands; then both texts are read by the `yaml` package and compared. Where the lines do not give
// what was meant (maps in braces, odd layouts), the package's document does it: comments survive there, too, only blanks may differ.
import { isAlias, isCollection, isMap, isScalar, isSeq, parseAllDocuments, stringify, type Document } from "yaml";
import { at, outline, type Entry, type Part, type Step } from "./outline";

export type Path = readonly Step[];
export class CannotEdit extends Error {}

const OPTIONS = { lineWidth: 0, indent: 2, blockQuote: "literal" as const };
const READ = { merge: true, uniqueKeys: true, strict: false, maxAliasCount: 1_000, logLevel: "error" as const };
/** Lists of tasks come last in a task. */
const AFTER = new Set(["tasks", "then", "else", "cases", "defaults", "errors", "finally", "onResume"]);
/** Lists that must be there, even without an item. */
const STAYS = new Set(["tasks"]);

export interface Read { values: unknown[]; documents: Document.Parsed[]; errors: { message: string; line: number; column: number }[] }

let last: { text: string; found: Read } | null = null;

/** The documents of a text and what is wrong with it as YAML. What was read last is kept: several ask for one text. Not to be changed. */
export function read(text: string): Read {
  if (last?.text !== text) last = { text, found: fresh(text) };
  return last.found;
}

function fresh(text: string): Read {
  const documents = parseAllDocuments(text, READ) as Document.Parsed[];
  const listed = Array.isArray(documents) ? documents : [];
  const errors = listed.flatMap((each) => each.errors).map((each) => ({
    message: each.message.split("\n")[0]!, line: each.linePos?.[0].line ?? 1, column: each.linePos?.[0].col ?? 1,
  }));
  const values = listed.map((each) => {
    try { return each.toJS({ maxAliasCount: 1_000 }) as unknown; } catch (error) { errors.push({ message: String(error), line: 1, column: 1 }); return null; }
  });
  return { values, documents: listed, errors };
}

/** What stands at a place, as data. */
export function valueAt(value: unknown, path: Path): unknown {
  let found = value;
  for (const step of path) found = typeof found === "object" && found !== null ? (found as Record<Step, unknown>)[step] : undefined;
  return found;
}

/** The text with a value set at a place, new or not. undefined removes it. */
export function setValue(text: string, part: number, path: Path, value: unknown): string {
  if (value === undefined) return removeAt(text, part, path);
  return checked(text, part, (before) => assign(before, path, value), path, (lines, root) => linesWith(lines, root, path, value), (document) => document.setIn(path, document.createNode(value)));
}

/** The text without the key or item at a place. */
export function removeAt(text: string, part: number, path: Path): string {
  const list = path.slice(0, -1);
  const last = path[path.length - 1]!;
  const held = valueAt(read(text).values[part], list);
  if (list.length && typeof held === "object" && held !== null && Object.keys(held).length === 1 && last in (held as object)) {
    if (typeof last === "number" && STAYS.has(String(list[list.length - 1]))) return setValue(text, part, list, []);
    if (typeof list[list.length - 1] === "string") return removeAt(text, part, list);
  }
  return checked(text, part, (before) => unassign(before, path), null, (lines, root) => linesWithout(lines, root, path), (document) => document.deleteIn(path));
}

/** The text with an item put into a list, which is made if it is not there. */
export function insertAt(text: string, part: number, list: Path, index: number, value: unknown): string {
  const held = valueAt(read(text).values[part], list);
  if (!Array.isArray(held) || held.length === 0) return setValue(text, part, list, [value]);
  return checked(
    text, part, (before) => { (valueAt(before, list) as unknown[]).splice(index, 0, value); return before; }, null,
    (lines, root) => {
      const found = listOf(root, list);
      const indent = found.children[0]!.indent;
      return put(lines, found, index, stringify([value], OPTIONS).trimEnd().split("\n").map((each) => (each ? " ".repeat(indent) + each : each)));
    },
    (document) => { const found = document.getIn(list); if (isSeq(found)) found.items.splice(index, 0, document.createNode(value)); },
  );
}

/** The text with an item moved: within its list, or into another. Its comments and layout go with it. */
export function moveTo(text: string, part: number, from: Path, list: Path, index: number): string {
  const source = from.slice(0, -1);
  const own = from[from.length - 1] as number;
  if (same(source, list)) {
    if (index === own) return text;
    return checked(
      text, part, (before) => { const held = valueAt(before, list) as unknown[]; held.splice(index, 0, ...held.splice(own, 1)); return before; }, null,
      (lines, root) => reorder(lines, listOf(root, list), own, index),
      (document) => { const found = document.getIn(list); if (isSeq(found)) found.items.splice(index, 0, ...found.items.splice(own, 1)); },
    );
  }
  if (from.every((step, place) => list[place] === step)) throw new CannotEdit("into itself");
  const value = valueAt(read(text).values[part], from);
  const held = valueAt(read(text).values[part], list);
  const block = textOf(text, part, from);
  const added = Array.isArray(held) && held.length > 0 && block !== null
    ? checked(
      text, part, (before) => { (valueAt(before, list) as unknown[]).splice(index, 0, structuredClone(value)); return before; }, null,
      (lines, root) => { const found = listOf(root, list); return put(lines, found, index, indented(block.lines, found.children[0]!.indent - block.indent)); },
      (document) => { const found = document.getIn(list); if (isSeq(found)) found.items.splice(index, 0, document.createNode(value)); },
    )
    : intoNew(text, part, list, index, value, block);
  const shifted = [...from];
  if (list.length < from.length && list.every((step, place) => from[place] === step) && (from[list.length] as number) >= index) shifted[list.length] = (from[list.length] as number) + 1;
  return removeAt(added, part, shifted);
}

/** A list that is not there yet gets the item as it is written. */
function intoNew(text: string, part: number, list: Path, index: number, value: unknown, block: Block | null): string {
  const made = insertAt(text, part, list, index, value);
  if (!block) return made;
  const lines = made.split("\n");
  const root = outline(lines)[part]?.root;
  const found = root && at(root, [...list, 0]);
  if (!found) return made;
  const kept = [...lines.slice(0, found.line), ...indented(block.lines, found.indent - block.indent), ...lines.slice(found.last + 1)].join("\n");
  const [before, after] = [read(made), read(kept)];
  return after.errors.length === 0 && equal(before.values, after.values) ? kept : made;
}

/** The text with a copy of an item behind it, in which every id is new. ids: those that are taken. */
export function duplicate(text: string, part: number, path: Path, fresh: (id: string) => string): string {
  const list = path.slice(0, -1);
  const index = path[path.length - 1] as number;
  const value = structuredClone(valueAt(read(text).values[part], path));
  const renames: { path: Step[]; id: string }[] = [];
  const visit = (each: unknown, where: Step[], isList: boolean): void => {
    if (Array.isArray(each)) each.forEach((one, place) => visit(one, [...where, place], true));
    else if (typeof each === "object" && each !== null) {
      const map = each as Record<string, unknown>;
      if (isList && typeof map["id"] === "string" && (where.length === 0 || "type" in map)) {
        map["id"] = fresh(map["id"]);
        renames.push({ path: [...where, "id"], id: map["id"] as string });
      }
      for (const [key, one] of Object.entries(map)) visit(one, [...where, key], false);
    }
  };
  visit(value, [], true);
  const block = textOf(text, part, path);
  let made = block
    ? checked(
      text, part, (before) => { const held = valueAt(before, list) as unknown[]; held.splice(index + 1, 0, structuredClone(held[index])); return before; }, null,
      (lines, root) => put(lines, listOf(root, list), index + 1, block.lines.map((each) => each.replace(/&[\w-]+\s/g, ""))),
      (document) => { const found = document.getIn(list); if (isSeq(found)) found.items.splice(index + 1, 0, document.createNode(value)); },
    )
    : insertAt(text, part, list, index + 1, value);
  for (const each of renames) made = setValue(made, part, [...list, index + 1, ...each.path], each.id);
  return made;
}

/** Whether a place is an alias (`*name`) or a map that takes others in (`<<`): what it says stands elsewhere. */
export function aliasAt(document: Document.Parsed | undefined, path: Path): string | null {
  if (!document) return null;
  let found: unknown = document.contents;
  for (const step of path) {
    if (isAlias(found)) return found.source;
    found = isCollection(found) ? found.get(step, true) : undefined;
  }
  return isAlias(found) ? found.source : null;
}

/** The keys that a map has itself, in their order; `<<` among them. */
export function ownKeys(document: Document.Parsed | undefined, path: Path): string[] {
  const found = path.length ? document?.getIn(path, true) : document?.contents;
  return isMap(found) ? found.items.map((each) => String(isScalar(each.key) ? each.key.value : each.key)) : [];
}

// ---- how a change is made and proved

type InLines = (lines: string[], root: Entry) => string[] | null;

function checked(text: string, part: number, change: (before: unknown) => unknown, path: Path | null, inLines: InLines, inDocument: (document: Document.Parsed) => void): string {
  const before = read(text);
  if (before.errors.length) throw new CannotEdit(before.errors[0]!.message);
  const wanted = before.values.slice();
  wanted[part] = change(structuredClone(before.values[part]));
  const lines = text.split("\n");
  const root = (outline(lines)[part] as Part | undefined)?.root;
  const anchors = /&\w/.test(text);
  const good = (candidate: string): boolean => {
    const after = read(candidate);
    if (after.errors.length) return false;
    if (equal(after.values, wanted)) return true;
    return anchors && after.values.length === wanted.length && path !== null && equal(valueAt(after.values[part], path), valueAt(wanted[part], path));
  };
  try {
    const made = root && inLines(lines.slice(), root);
    if (made && good(made.join("\n"))) return made.join("\n");
  } catch (error) {
    if (!(error instanceof CannotEdit)) throw error;
  }
  const changed = fresh(text);
  inDocument(changed.documents[part]!);
  const whole = changed.documents.map((each) => each.toString({ lineWidth: 0, flowCollectionPadding: false })).join("");
  if (!good(whole)) throw new CannotEdit("cannot be changed here");
  return whole;
}

function assign(value: unknown, path: Path, wanted: unknown): unknown {
  if (path.length === 0) return wanted;
  const [step, ...rest] = path;
  const held = typeof value === "object" && value !== null ? value : typeof step === "number" ? [] : {};
  const map = held as Record<Step, unknown>;
  map[step!] = assign(map[step!], rest, wanted);
  return held;
}

function unassign(value: unknown, path: Path): unknown {
  const held = valueAt(value, path.slice(0, -1));
  const last = path[path.length - 1]!;
  if (Array.isArray(held)) held.splice(last as number, 1);
  else if (typeof held === "object" && held !== null) delete (held as Record<Step, unknown>)[last];
  return value;
}

export function equal(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null || Array.isArray(one) !== Array.isArray(other)) return false;
  const [keys, others] = [Object.keys(one), Object.keys(other)];
  return keys.length === others.length && keys.every((key) => key in other && equal((one as Record<string, unknown>)[key], (other as Record<string, unknown>)[key]));
}

const same = (one: Path, other: Path): boolean => one.length === other.length && one.every((step, place) => step === other[place]);

// ---- in the lines

function linesWith(lines: string[], root: Entry, path: Path, value: unknown): string[] | null {
  const found = at(root, path);
  if (found?.parent) return replaced(lines, found, value);
  const key = path[path.length - 1]!;
  const parent = at(root, path.slice(0, -1));
  if (!parent) return linesWith(lines, root, path.slice(0, -1), typeof key === "number" ? [value] : { [key]: value });
  if (typeof key === "number") return null;
  const isRoot = parent.parent === null;
  if (!parent.children.length) {
    if (!isRoot && parent.value !== "") return null;
    const indent = isRoot ? 0 : parent.indent + 2;
    lines.splice(isRoot ? parent.line : parent.line + 1, 0, ...rendered(key, value, indent));
    return lines;
  }
  if (parent.children[0]!.key === null) return null;
  const first = parent.children[0]!;
  const next = isRoot || AFTER.has(String(key)) ? undefined : parent.children.find((each) => each !== first && AFTER.has(String(each.key)));
  const before = next ? commentsAbove(lines, next.line, next.indent, parent.line) : parent.last + 1;
  lines.splice(before, 0, ...rendered(key, value, first.indent));
  return lines;
}

function rendered(key: Step, value: unknown, indent: number): string[] {
  return stringify({ [key]: value }, OPTIONS).trimEnd().split("\n").map((each) => (each ? " ".repeat(indent) + each : each));
}

function replaced(lines: string[], found: Entry, value: unknown): string[] | null {
  const line = lines[found.line]!;
  const props = /^(?:[&!]\S*\s+)*/.exec(found.value)?.[0] ?? "";
  const isItem = found.index !== null;
  if (isItem && found.children.length && found.children[0]!.line === found.line && typeof value !== "object") return null;
  const plain = typeof value !== "object" || value === null || (Array.isArray(value) && value.length === 0) || (!Array.isArray(value) && Object.keys(value).length === 0);
  if (plain && !found.children.length && !found.block && found.last === found.line && !(typeof value === "string" && value.includes("\n"))) {
    const end = valueEnd(line, found.valueFrom);
    const old = line.slice(found.valueFrom + props.length, end);
    const head = found.value === "" ? `${line.slice(0, isItem ? found.indent + 1 : line.indexOf(":", found.keyTo) + 1)} ` : line.slice(0, found.valueFrom) + props;
    const comment = found.value === "" ? (/\s+#.*$/.exec(line)?.[0] ?? "") : line.slice(end);
    lines[found.line] = head + scalar(value, old) + comment;
    return lines;
  }
  const comment = found.value === "" || found.block ? (/\s+#.*$/.exec(line)?.[0] ?? "") : "";
  let made: string[];
  if (isItem) {
    made = stringify([value], OPTIONS).trimEnd().split("\n").map((each, place) => (place === 0 ? line.slice(0, found.indent) + each : each ? " ".repeat(found.indent) + each : each));
  } else {
    made = rendered(found.key!, value, found.indent);
    made[0] = line.slice(0, found.keyTo) + made[0]!.slice(made[0]!.indexOf(":", keyLength(made[0]!)));
  }
  if (props) made[0] = made[0]!.replace(/^(\s*(?:- +)*[^\n]*?:|\s*-)(?=\s|$)/, `$1 ${props.trim()}`);
  if (comment && /(:|[|>][-+0-9]*|&\S+)$/.test(made[0]!)) made[0] += comment;
  lines.splice(found.line, found.last - found.line + 1, ...made);
  return lines;
}

/** Where the key of a rendered line ends at the earliest: quoted keys may hold a colon. */
function keyLength(line: string): number {
  const match = /^\s*("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')/.exec(line);
  return match ? match[0].length : 0;
}

/** A value as it is written on one line; a text keeps the quotes that the old one had. */
function scalar(value: unknown, old: string): string {
  const written = stringify(value, { ...OPTIONS, ...(old.startsWith("'") ? { singleQuote: true } : {}) }).trimEnd();
  if (typeof value !== "string") return written;
  if (old.startsWith('"')) return JSON.stringify(value);
  if (old.startsWith("'")) return `'${value.replaceAll("'", "''")}'`;
  return written;
}

function valueEnd(line: string, from: number): number {
  const first = line[from];
  if (first === '"' || first === "'") {
    for (let place = from + 1; place < line.length; place++) {
      if (first === '"' && line[place] === "\\") place++;
      else if (line[place] === first) { if (first === "'" && line[place + 1] === "'") place++; else return place + 1; }
    }
    return line.length;
  }
  if (first === "[" || first === "{") {
    const close = Math.max(line.lastIndexOf("]"), line.lastIndexOf("}"));
    return close === -1 ? line.length : close + 1;
  }
  const comment = /\s+#/.exec(line.slice(from));
  return comment ? from + comment.index : line.trimEnd().length;
}

function linesWithout(lines: string[], root: Entry, path: Path): string[] | null {
  const found = at(root, path);
  if (!found?.parent) return null;
  if (found.index !== null) {
    if (found.parent.line === found.line && found.parent.index !== null) return null;
    const blocks = blocksOf(lines, found.parent);
    const block = blocks[found.index]!;
    const next = blocks[found.index + 1];
    const end = next ? next.from : block.to; // with the gap behind it
    const gapBefore = !next && found.index > 0 ? blocks[found.index - 1]!.to : block.from;
    lines.splice(gapBefore, end - gapBefore);
    return lines;
  }
  if (found.parent.index !== null && found.parent.line === found.line) { // the dash stands before it: the next key takes its place
    const next = found.parent.children[1];
    if (!next || next.line !== found.last + 1) return null;
    lines[next.line] = lines[found.line]!.slice(0, found.indent) + lines[next.line]!.slice(next.indent);
  }
  lines.splice(found.line, found.last - found.line + 1);
  return lines;
}

// ---- items of a list, with the comments above them

interface Block { lines: string[]; indent: number }

function commentsAbove(lines: readonly string[], line: number, indent: number, after: number): number {
  let first = line;
  while (first - 1 > after && new RegExp(`^ {${indent}}#`).test(lines[first - 1]!)) first--;
  return first;
}

function blocksOf(lines: readonly string[], list: Entry): { from: number; to: number }[] {
  return list.children.map((each, index) => ({
    from: commentsAbove(lines, each.line, each.indent, index === 0 ? list.line : list.children[index - 1]!.last), to: each.last + 1,
  }));
}

function listOf(root: Entry, path: Path): Entry {
  const found = at(root, path);
  if (!found || !found.children.length || found.children[0]!.index === null || found.children[0]!.line === found.line) throw new CannotEdit("no list in lines");
  return found;
}

function put(lines: string[], list: Entry, index: number, block: string[]): string[] {
  const blocks = blocksOf(lines, list);
  const spaced = blocks.length > 1 && blocks.every((each, place) => place === 0 || lines.slice(blocks[place - 1]!.to, each.from).some((line) => line.trim() === ""));
  if (index < blocks.length) lines.splice(blocks[index]!.from, 0, ...block, ...(spaced ? [""] : []));
  else lines.splice(blocks[blocks.length - 1]!.to, 0, ...(spaced ? [""] : []), ...block);
  return lines;
}

function reorder(lines: string[], list: Entry, from: number, to: number): string[] {
  const blocks = blocksOf(lines, list);
  const texts = blocks.map((each) => lines.slice(each.from, each.to));
  const gaps = blocks.slice(1).map((each, index) => lines.slice(blocks[index]!.to, each.from));
  texts.splice(to, 0, ...texts.splice(from, 1));
  const made = texts.flatMap((each, index) => [...each, ...(gaps[index] ?? [])]);
  lines.splice(blocks[0]!.from, blocks[blocks.length - 1]!.to - blocks[0]!.from, ...made);
  return lines;
}

function textOf(text: string, part: number, path: Path): Block | null {
  const lines = text.split("\n");
  const root = outline(lines)[part]?.root;
  const found = root && at(root, path);
  if (!found?.parent || found.index === null || found.parent.children[0]!.line === found.parent.line && found.parent.index !== null) return null;
  const block = blocksOf(lines, found.parent)[found.index]!;
  return { lines: lines.slice(block.from, block.to), indent: found.indent };
}

function indented(lines: readonly string[], by: number): string[] {
  return lines.map((each) => (each.trim() === "" ? each : by >= 0 ? " ".repeat(by) + each : each.replace(new RegExp(`^ {0,${-by}}`), "")));
}
