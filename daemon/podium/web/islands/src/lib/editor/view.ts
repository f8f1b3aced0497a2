// The text editor itself: CodeMirror in a shadow root (its styles need no exception from the page's policy), with our colours, keys and languages.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, type CompletionSource } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { javascript } from "@codemirror/lang-javascript";
import { json } from "@codemirror/lang-json";
import { markdown } from "@codemirror/lang-markdown";
import { python } from "@codemirror/lang-python";
import { sql } from "@codemirror/lang-sql";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, foldGutter, foldKeymap, HighlightStyle, indentOnInput, indentUnit, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { r } from "@codemirror/legacy-modes/mode/r";
import { shell } from "@codemirror/legacy-modes/mode/shell";
import { toml } from "@codemirror/legacy-modes/mode/toml";
import { lintGutter, lintKeymap } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { EditorState, type Extension } from "@codemirror/state";
import {
  crosshairCursor, Decoration, drawSelection, dropCursor, EditorView, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, hoverTooltip,
  keymap, lineNumbers, MatchDecorator, rectangularSelection, ViewPlugin, type DecorationSet, type HoverTooltipSource, type KeyBinding, type ViewUpdate,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";

export const THEME = EditorView.theme({
  "&": { color: "var(--text)", backgroundColor: "var(--code)", height: "100%", fontSize: "13px" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55", overflow: "auto" },
  ".cm-content": { caretColor: "var(--text)", padding: "8px 0" },
  ".cm-cursor, .cm-dropCursor": { borderLeftColor: "var(--text)", borderLeftWidth: "2px" },
  ".cm-gutters": { backgroundColor: "var(--code)", color: "var(--dim)", border: "0", borderRight: "1px solid var(--line)" },
  ".cm-activeLineGutter": { backgroundColor: "var(--hover)", color: "var(--text)" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--accent) 7%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { background: "color-mix(in srgb, var(--accent) 26%, transparent) !important" },
  ".cm-selectionMatch": { backgroundColor: "color-mix(in srgb, var(--warn-fill) 22%, transparent)" },
  ".cm-searchMatch": { backgroundColor: "color-mix(in srgb, var(--warn-fill) 40%, transparent)", outline: "1px solid var(--warn-fill)" },
  ".cm-searchMatch-selected": { backgroundColor: "color-mix(in srgb, var(--warn-fill) 70%, transparent)" },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "color-mix(in srgb, var(--ok-fill) 30%, transparent)" },
  ".cm-foldPlaceholder": { backgroundColor: "var(--hover)", color: "var(--dim)", border: "1px solid var(--line-strong)" },
  ".cm-panels": { backgroundColor: "var(--card)", color: "var(--text)" },
  ".cm-panels.cm-panels-top": { borderBottom: "1px solid var(--line)" },
  ".cm-panel.cm-search": { padding: "8px 10px", font: "13px/1.5 system-ui, sans-serif" },
  ".cm-panel.cm-search label": { fontSize: "12.5px" },
  ".cm-textfield": { backgroundColor: "var(--card)", color: "var(--text)", border: "1px solid var(--control-line, var(--line-strong))", borderRadius: "6px", padding: "4px 8px" },
  ".cm-button": { backgroundImage: "none", backgroundColor: "var(--raised)", color: "var(--text)", border: "1px solid var(--line-strong)", borderRadius: "6px", minHeight: "24px" },
  ".cm-panel.cm-search [name=close]": { color: "var(--text)", minWidth: "24px", minHeight: "24px" },
  ".cm-tooltip": { backgroundColor: "var(--raised)", color: "var(--text)", border: "1px solid var(--line-strong)", borderRadius: "8px", boxShadow: "0 8px 28px var(--shade)", font: "13px/1.5 system-ui, sans-serif", maxWidth: "min(460px, 90vw)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", fontSize: "12.5px", maxHeight: "18em" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "3px 10px", minHeight: "24px", color: "var(--text)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionDetail": { color: "var(--dim)", fontStyle: "normal", marginLeft: "1em" },
  "li[aria-selected] .cm-completionDetail": { color: "inherit" },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700" },
  ".cm-completionInfo": { padding: "8px 12px", maxWidth: "380px", whiteSpace: "normal" },
  ".cm-deprecated": { textDecoration: "line-through" },
  ".cm-about": { padding: "8px 12px", overflowWrap: "anywhere" },
  ".cm-about b": { fontFamily: "var(--mono)" },
  ".cm-about p": { margin: "4px 0 0" },
  ".cm-about .dim": { color: "var(--dim)", fontSize: "12px" },
  ".cm-about code, .cm-completionInfo code": { fontFamily: "var(--mono)", fontSize: "12px", backgroundColor: "var(--hover)", padding: "0 3px", borderRadius: "3px" },
  ".cm-about a": { color: "var(--accent-text, var(--accent))" },
  ".cm-diagnostic": { padding: "5px 10px", borderLeftWidth: "4px", color: "var(--text)" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--bad-fill)" },
  ".cm-diagnostic-warning": { borderLeftColor: "var(--warn-fill)" },
  ".cm-expression": { color: "var(--warn)", fontWeight: "600" },
  ".cm-mergeView, .cm-mergeViewEditors": { height: "100%" },
  ".cm-changedLine": { backgroundColor: "color-mix(in srgb, var(--ok-fill) 12%, transparent) !important" },
  ".cm-deletedText, .cm-deletedText *": { color: "var(--text) !important" },
  ".cm-deletedChunk": { backgroundColor: "color-mix(in srgb, var(--bad-fill) 12%, transparent) !important", color: "var(--text)" },
  "&.cm-merge-a .cm-changedLine": { backgroundColor: "color-mix(in srgb, var(--bad-fill) 12%, transparent) !important" },
  ".cm-collapsedLines": { background: "var(--hover)", color: "var(--dim)", padding: "4px 10px" },
  ".cm-collapsedLines::before, .cm-collapsedLines::after": { content: "none !important" },
});

export const COLOURS = syntaxHighlighting(HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName), tags.attributeName, tags.tagName], color: "var(--run)" },
  { tag: [tags.string, tags.special(tags.string), tags.regexp], color: "var(--ok)" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "var(--wait)" },
  { tag: [tags.keyword, tags.operatorKeyword, tags.modifier, tags.typeName, tags.className], color: "var(--wait)", fontWeight: "600" },
  { tag: [tags.comment, tags.meta], color: "var(--dim)", fontStyle: "italic" },
  { tag: [tags.punctuation, tags.separator, tags.bracket], color: "var(--dim)" },
  { tag: [tags.labelName, tags.definition(tags.variableName), tags.function(tags.variableName)], color: "var(--warn)" },
  { tag: tags.heading, fontWeight: "700", color: "var(--run)" },
  { tag: tags.strong, fontWeight: "700" }, { tag: tags.emphasis, fontStyle: "italic" }, { tag: [tags.link, tags.url], color: "var(--run)", textDecoration: "underline" },
  { tag: tags.invalid, color: "var(--bad)" },
]));

/** The language of a file by its name. */
export function languageOf(name: string): Extension {
  const ending = name.toLowerCase().split(".").pop() ?? "";
  const found: Record<string, () => Extension> = {
    yaml, yml: yaml, py: python, sql, json, jsonl: json, md: markdown, markdown, js: javascript, mjs: javascript, ts: () => javascript({ typescript: true }),
    sh: () => StreamLanguage.define(shell), bash: () => StreamLanguage.define(shell), r: () => StreamLanguage.define(r), toml: () => StreamLanguage.define(toml),
  };
  return found[ending]?.() ?? [];
}

/** Expressions {{ … }} stand out, whatever the language around them. */
const expressions = ViewPlugin.fromClass(
  class {
    private readonly matcher = new MatchDecorator({ regexp: /\{\{[^\n]{0,2000}?\}\}|\{%[^\n]{0,2000}?%\}/g, decoration: Decoration.mark({ class: "cm-expression" }) });
    decorations: DecorationSet;
    constructor(view: EditorView) { this.decorations = this.matcher.createDeco(view); }
    update(update: ViewUpdate): void { this.decorations = this.matcher.updateDeco(update, this.decorations); }
  },
  { decorations: (plugin) => plugin.decorations },
);

/** `{{` is closed as it is opened, also in quotes; who types the end themselves types over it. */
const closing = EditorView.inputHandler.of((view, from, to, text) => {
  if (from !== to || view.state.readOnly || (text !== "{" && text !== "}")) return false;
  const [before, after] = [view.state.sliceDoc(Math.max(0, from - 2), from), view.state.sliceDoc(from, from + 2)];
  if (text === "{" && before.endsWith("{") && before !== "{{" && !after.startsWith("}")) {
    view.dispatch({ changes: { from, insert: "{}}" }, selection: { anchor: from + 1 }, userEvent: "input.type" });
    return true;
  }
  if (text === "}" && after.startsWith("}") && view.state.doc.lineAt(from).text.slice(0, from - view.state.doc.lineAt(from).from).includes("{{")) {
    view.dispatch({ selection: { anchor: from + 1 }, userEvent: "input.type" });
    return true;
  }
  return false;
});

export interface Options {
  text: string;
  name: string;
  label: string;
  readOnly?: boolean;
  keys?: KeyBinding[];
  complete?: CompletionSource;
  hover?: HoverTooltipSource;
  onUpdate?: (update: ViewUpdate) => void;
  extra?: Extension;
  /** A small one, for one value of a form. */
  small?: boolean;
}

/** What every editor of ours has. */
export function extensions(options: Options): Extension[] {
  const small = options.small === true;
  return [
    THEME, COLOURS, expressions, languageOf(options.name), history(), highlightSpecialChars(), drawSelection(), indentUnit.of("  "), EditorState.tabSize.of(4),
    EditorView.contentAttributes.of({ "aria-label": options.label, tabindex: "0", ...(options.readOnly ? { "aria-readonly": "true" } : {}) }),
    options.readOnly ? [EditorState.readOnly.of(true), EditorView.editable.of(false)] : [],
    bracketMatching(), closing, closeBrackets(), indentOnInput(),
    small ? EditorView.lineWrapping : [
      lineNumbers(), foldGutter(), highlightActiveLine(), highlightActiveLineGutter(), dropCursor(), rectangularSelection(), crosshairCursor(),
      EditorState.allowMultipleSelections.of(true), highlightSelectionMatches(), search({ top: true }), lintGutter(),
    ],
    autocompletion({
      ...(options.complete ? { override: [options.complete] } : {}), icons: false, closeOnBlur: true,
      optionClass: (each) => ((each as { deprecated?: boolean }).deprecated ? "cm-deprecated" : ""),
    }),
    options.hover ? hoverTooltip(options.hover, { hoverTime: 350 }) : [],
    keymap.of([
      ...(options.keys ?? []), ...closeBracketsKeymap, ...(small ? [] : searchKeymap), ...lintKeymap, ...completionKeymap, ...foldKeymap, ...historyKeymap,
      ...defaultKeymap, indentWithTab,
    ]),
    options.onUpdate ? EditorView.updateListener.of(options.onUpdate) : [],
    options.extra ?? [],
  ];
}

/** The root that editors are mounted in: shadowed, so that their style sheets are adopted and not written into the page. */
export function shadow(host: HTMLElement): { root: ShadowRoot; parent: HTMLElement } {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  const parent = document.createElement("div");
  parent.className = "mount";
  root.replaceChildren(parent);
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(":host { display: block; min-width: 0; min-height: 0; } .mount { height: 100%; min-width: 0; }"
    + " .mount .cm-merge-revert { width: 30px; } .mount .cm-merge-revert button { min-height: 26px; border-radius: 5px; color: var(--text); font-size: 16px; }"
    + " .mount .cm-merge-revert button:hover { background: var(--hover); } .mount button:focus-visible { outline: 2px solid var(--accent); }");
  root.adoptedStyleSheets = [sheet];
  return { root, parent };
}

/** An editor in a host element. */
export function mount(host: HTMLElement, options: Options): EditorView {
  const { root, parent } = shadow(host);
  return new EditorView({ state: EditorState.create({ doc: options.text, extensions: extensions(options) }), parent, root });
}
