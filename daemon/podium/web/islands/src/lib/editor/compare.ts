// Two texts beside each other: what will be committed, and what somebody else committed meanwhile.
import { MergeView, unifiedMergeView } from "@codemirror/merge";
import { EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { editor as words } from "../../../../strings.json";
import { extensions, shadow } from "./view";

const COLLAPSE = { margin: 3, minSize: 6 };

/** What changed from one text to the other, to read. */
export function showChanges(host: HTMLElement, before: string, after: string, name: string): { destroy(): void } {
  const { root, parent } = shadow(host);
  return new EditorView({
    parent, root,
    state: EditorState.create({
      doc: after,
      extensions: [
        extensions({ text: after, name, label: words.changes_label, readOnly: true }),
        unifiedMergeView({ original: before, mergeControls: false, gutter: true, collapseUnchanged: COLLAPSE, allowInlineDiffs: true }),
      ],
    }),
  });
}

/** Theirs at the left, to read; what would be saved at the right, to change; arrows take over a part of theirs. */
export function resolve(host: HTMLElement, theirs: string, mine: string, name: string): { text(): string; destroy(): void } {
  const { root, parent } = shadow(host);
  const view = new MergeView({
    parent, root, revertControls: "a-to-b", gutter: true, collapseUnchanged: COLLAPSE, highlightChanges: true,
    renderRevertControl: () => {
      const made = document.createElement("button");
      made.type = "button";
      made.textContent = "→";
      made.title = words.take_theirs;
      made.setAttribute("aria-label", words.take_theirs);
      return made;
    },
    a: { doc: theirs, extensions: extensions({ text: theirs, name, label: words.theirs, readOnly: true }) },
    b: { doc: mine, extensions: extensions({ text: mine, name, label: words.result }) },
  });
  return { text: () => view.b.state.doc.toString(), destroy: () => view.destroy() };
}
