// Live checks: the server's words at the right places, as marks in the text and as a list below. Debounced; an answer to an older text is dropped.
import { setDiagnostics, type Diagnostic } from "@codemirror/lint";
import type { EditorView } from "@codemirror/view";
import { editor as words } from "../../../../strings.json";
import { fill, make } from "../dom";
import { type Problem } from "./server";

const QUIET_MS = 350;
const SHOWN_MAX = 200;

export interface Checks {
  /** The text changed. */
  later(): void;
  problems(): readonly Problem[];
  /** Whether there was an answer yet. */
  asked(): boolean;
  destroy(): void;
}

export function liveChecks(
  view: EditorView, list: HTMLElement, status: HTMLElement, look: (text: string, signal: AbortSignal) => Promise<Problem[]>, changed: (found: readonly Problem[]) => void
): Checks {
  let timer = 0;
  let asking: AbortController | null = null;
  let found: Problem[] = [];
  let answered = false;
  const run = async (): Promise<void> => {
    asking?.abort();
    const mine = asking = new AbortController();
    const text = view.state.doc.toString();
    try {
      const problems = await look(text, mine.signal);
      if (mine.signal.aborted) return;
      found = problems;
      answered = true;
      view.dispatch(setDiagnostics(view.state, problems.slice(0, SHOWN_MAX).map((each) => mark(view, each))));
      show(view, list, status, problems);
      changed(problems);
    } catch (error) {
      if (mine.signal.aborted) return;
      status.textContent = fill(words.check_failed, { why: error instanceof Error ? error.message : String(error) });
      status.dataset["kind"] = "warn";
    }
  };
  const later = (): void => { clearTimeout(timer); timer = window.setTimeout(() => void run(), QUIET_MS); };
  void run();
  return { later, problems: () => found, asked: () => answered, destroy: () => { clearTimeout(timer); asking?.abort(); } };
}

/** Where a problem stands in the text. The server counts characters, the editor halves of pairs. */
export function placeOf(doc: EditorView["state"]["doc"], line: number, column: number): { from: number; to: number } {
  const found = doc.line(Math.min(Math.max(line, 1), doc.lines));
  const from = found.from + Math.min(units(found.text, column - 1), found.length);
  const rest = doc.sliceString(from, found.to);
  const word = /^("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,:#{}[\]]+|[^\s#]+)/.exec(rest);
  return { from, to: word ? from + word[0].length : Math.max(from, found.to) };
}

function units(text: string, characters: number): number {
  let place = 0;
  for (let count = 0; count < characters && place < text.length; count++) place += text.codePointAt(place)! > 0xffff ? 2 : 1;
  return place;
}

function mark(view: EditorView, each: Problem): Diagnostic {
  const place = placeOf(view.state.doc, each.line, each.column);
  return { ...place, severity: each.severity, message: each.hint ? `${each.message}\n${each.hint}` : each.message, source: each.code };
}

function show(view: EditorView, list: HTMLElement, status: HTMLElement, problems: readonly Problem[]): void {
  const errors = problems.filter((each) => each.severity === "error").length;
  const warnings = problems.length - errors;
  status.dataset["kind"] = errors ? "bad" : warnings ? "warn" : "ok";
  status.textContent = problems.length
    ? [errors ? fill(errors === 1 ? words.one_problem : words.many_problems, { n: errors }) : "", warnings ? fill(warnings === 1 ? words.one_warning : words.many_warnings, { n: warnings }) : ""].filter(Boolean).join(", ")
    : words.no_problem;
  list.hidden = problems.length === 0;
  const rows = problems.slice(0, SHOWN_MAX).map((each) => {
    const jump = make("button", { type: "button", class: `problem ${each.severity}` },
      make("b", {}, `${each.line}:${each.column}`), make("span", {}, make("span", { class: "hidden" }, each.severity === "error" ? words.error : words.warning, ": "), each.message, each.hint ? make("i", {}, each.hint) : null));
    jump.addEventListener("click", () => {
      const place = placeOf(view.state.doc, each.line, each.column);
      view.dispatch({ selection: { anchor: place.from, head: place.to }, scrollIntoView: true });
      view.focus();
    });
    return make("li", {}, jump);
  });
  list.replaceChildren(...rows, ...(problems.length > SHOWN_MAX ? [make("li", { class: "dim" }, fill(words.more_problems, { n: problems.length - SHOWN_MAX }))] : []));
}
