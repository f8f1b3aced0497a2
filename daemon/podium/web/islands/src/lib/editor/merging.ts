// Two people changed one file: what both did, line by line. Pure.
import { diff } from "@codemirror/merge";

export interface Merged {
  text: string;
  /** Places that both changed, differently; there the text has `mine`. */
  conflicts: number;
}

interface Hunk { from: number; to: number; lines: string[] }

/** base with the changes of both; where they are in each other's way, mine. */
export function merge(base: string, theirs: string, mine: string): Merged {
  const [old, one, other] = [base.split("\n"), theirs.split("\n"), mine.split("\n")];
  const [hunks, own] = [hunksOf(old, one), hunksOf(old, other)];
  const made: string[] = [];
  let conflicts = 0;
  let place = 0;
  let [i, j] = [0, 0];
  while (i < hunks.length || j < own.length) {
    const [a, b] = [hunks[i], own[j]];
    if (a && b && touch(a, b)) {
      let [from, to] = [Math.min(a.from, b.from), Math.max(a.to, b.to)];
      const [firstA, firstB] = [i, j];
      for (let grown = true; grown;) {
        grown = false;
        while (i < hunks.length && touch(hunks[i]!, { from, to })) { to = Math.max(to, hunks[i]!.to); i++; grown = true; }
        while (j < own.length && touch(own[j]!, { from, to })) { to = Math.max(to, own[j]!.to); j++; grown = true; }
      }
      from = Math.min(from, hunks[firstA]!.from, own[firstB]!.from);
      made.push(...old.slice(place, from));
      const [left, right] = [applied(old, hunks.slice(firstA, i), from, to), applied(old, own.slice(firstB, j), from, to)];
      if (left.join("\n") !== right.join("\n")) conflicts++;
      made.push(...right);
      place = to;
    } else {
      const next = !b || (a && a.from < b.from) ? (i++, a!) : (j++, b);
      made.push(...old.slice(place, next.from), ...next.lines);
      place = next.to;
    }
  }
  made.push(...old.slice(place));
  return { text: made.join("\n"), conflicts };
}

const touch = (a: { from: number; to: number }, b: { from: number; to: number }): boolean => a.from <= b.to && b.from <= a.to;

function applied(old: readonly string[], hunks: readonly Hunk[], from: number, to: number): string[] {
  const made: string[] = [];
  let place = from;
  for (const each of hunks) {
    made.push(...old.slice(place, each.from), ...each.lines);
    place = each.to;
  }
  return [...made, ...old.slice(place, to)];
}

/** The lines that differ, found by giving each different line a letter of its own. */
function hunksOf(old: readonly string[], fresh: readonly string[]): Hunk[] {
  const letters = new Map<string, string>();
  const letter = (line: string): string => {
    let found = letters.get(line);
    if (found === undefined) {
      const code = letters.size + 32;
      found = String.fromCharCode(code < 0xd800 ? code : code + 0x800);
      letters.set(line, found);
    }
    return found;
  };
  const [a, b] = [old.map(letter).join(""), fresh.map(letter).join("")];
  return diff(a, b).map((each) => ({ from: each.fromA, to: each.toA, lines: fresh.slice(each.fromB, each.toB) }));
}
