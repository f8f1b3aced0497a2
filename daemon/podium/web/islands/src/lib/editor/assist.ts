// Completion and hovers for the text editor, made of the pure parts. What it needs of the server is loaded once and kept by the browser (ETag).
import { snippetCompletion, type Completion, type CompletionContext, type CompletionResult, type CompletionSource } from "@codemirror/autocomplete";
import type { EditorView, HoverTooltipSource } from "@codemirror/view";
import { completionsAt, expressionCompletions, meaningAt, type Completion as Offer } from "./complete";
import { explain, expressionBefore, type Vocabulary } from "./expressions";
import type { Entry } from "./outline";
import { Language, type Schema } from "./schema";
import { editor as words } from "../../../../strings.json";

let language: Promise<Language> | null = null;
let vocabulary: Promise<Vocabulary> | null = null;

async function load<Kind>(address: string): Promise<Kind> {
  const answer = await fetch(address, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return (await answer.json()) as Kind;
}

/** The language; asked for again when it could not be had. */
export function loadLanguage(): Promise<Language> {
  language ??= load<Schema>("/api/v1/plugins/schemas/flow").then((schema) => new Language(schema)).catch((error: unknown) => { language = null; throw error; });
  return language;
}

export function loadVocabulary(): Promise<Vocabulary> {
  vocabulary ??= load<Vocabulary>("/api/v1/plugins/expressions").catch((error: unknown) => { vocabulary = null; throw error; });
  return vocabulary;
}

/** Text with `code` as nodes; never markup. */
export function prose(text: string): Node[] {
  return text.split(/(`[^`]+`)/).filter(Boolean).map((each) => {
    if (!each.startsWith("`")) return document.createTextNode(each);
    const code = document.createElement("code");
    code.textContent = each.slice(1, -1);
    return code;
  });
}

export function lines(view: { doc: { lines: number; iterLines(): Iterable<string> } }): string[] {
  return [...view.doc.iterLines()];
}

export const complete: CompletionSource = async (context: CompletionContext): Promise<CompletionResult | null> => {
  const text = context.state.doc.toString();
  const inside = expressionBefore(text, context.pos);
  const [known, terms] = await Promise.all([loadLanguage().catch(() => null), loadVocabulary().catch(() => null)]);
  if (context.aborted) return null;
  const line = context.state.doc.lineAt(context.pos);
  const found = completionsAt(text, lines(context.state), context.pos, line.number - 1, context.pos - line.from, known, terms);
  if (!found) return null;
  const from = line.from + found.from;
  // Unasked, only where a word is begun or a value is due: not at every blank.
  const typed = context.state.sliceDoc(from, context.pos);
  if (!context.explicit && !typed && inside === null && !/:\s+$/.test(line.text.slice(0, context.pos - line.from))) return null;
  return { from, options: found.options.map(option), validFor: /^[\w./'" -]*$/ };
};

/** Completion of expressions in a text of their own, as in a field of a form. root: of the flow that it belongs to. */
export function completeExpressions(root: () => Entry | null): CompletionSource {
  return async (context) => {
    const inside = expressionBefore(context.state.doc.toString(), context.pos);
    const [terms, flow] = [inside === null ? null : await loadVocabulary().catch(() => null), root()];
    if (inside === null || !terms || !flow || context.aborted) return null;
    const found = expressionCompletions(inside, context.pos, flow, terms);
    return { from: found.from, options: found.options.map(option), validFor: /^\w*$/ };
  };
}

function option(each: Offer): Completion {
  const made: Completion & { deprecated?: boolean } = {
    label: each.label, type: each.kind, boost: each.boost ?? 0, ...(each.detail ? { detail: each.detail } : {}), ...(each.deprecated ? { deprecated: true } : {}),
    ...(each.about ? { info: () => { const box = document.createElement("div"); box.append(...prose(each.about!)); return box; } } : {}),
  };
  if (each.back) {
    const place = each.apply.length - each.back;
    return snippetCompletion(`${escaped(each.apply.slice(0, place))}\${}${escaped(each.apply.slice(place))}`, made);
  }
  // Lines of what is put in come with their indentation already.
  made.apply = (view: EditorView, _done: Completion, from: number, to: number) => {
    view.dispatch({ changes: { from, to, insert: each.apply }, selection: { anchor: from + each.apply.length }, userEvent: "input.complete" });
  };
  return made;
}

const escaped = (text: string): string => text.replace(/[\\${}#]/g, (char) => `\\${char}`);

export const hover: HoverTooltipSource = async (view, place) => {
  const line = view.state.doc.lineAt(place);
  const column = place - line.from;
  const text = view.state.doc.toString();
  if (expressionBefore(text, place) !== null) {
    const word = /[A-Za-z_]\w*/g;
    for (const match of line.text.matchAll(word)) {
      if (match.index > column || match.index + match[0].length < column) continue;
      const terms = await loadVocabulary().catch(() => null);
      const before = line.text.slice(0, match.index).trimEnd();
      const found = terms && !before.endsWith(".") ? explain(match[0], before.endsWith("|"), terms) : null;
      return found ? tip(line.from + match.index, line.from + match.index + match[0].length, found.title, found.about, "", null) : null;
    }
    return null;
  }
  const known = await loadLanguage().catch(() => null);
  const found = known && meaningAt(lines(view.state), line.number - 1, column, known);
  return found ? tip(line.from + found.from, line.from + found.to, found.title, found.about, found.words, found.link) : null;
};

function tip(place: number, end: number, title: string, about: string, detail: string, link: string | null): { pos: number; end: number; above: boolean; create: () => { dom: HTMLElement } } {
  return {
    pos: place, end, above: true, create: () => {
      const dom = document.createElement("div");
      dom.className = "cm-about";
      const head = document.createElement("b");
      head.textContent = title;
      const text = document.createElement("p");
      text.append(...prose(about));
      dom.append(head, text);
      if (detail) { const more = document.createElement("p"); more.className = "dim"; more.textContent = detail; dom.append(more); }
      if (link) { const more = document.createElement("a"); more.href = link; more.target = "_blank"; more.textContent = words.open_docs; dom.append(more); }
      return { dom };
    },
  };
}
