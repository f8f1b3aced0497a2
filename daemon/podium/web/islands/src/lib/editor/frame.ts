// The frame of the editor page: its bar, tabs, panes and the list of mistakes. Only makes elements; what they do is said by the page.
import { editor as words } from "../../../../strings.json";
import { every, fill, find, make } from "../dom";
import type { Saved } from "./server";

export type Tab = "text" | "form" | "changes" | "conflict";
export interface Frame {
  host: HTMLElement;
  text: HTMLElement; form: HTMLElement; changes: HTMLElement; conflict: HTMLElement;
  picture: HTMLElement | null; filePane: HTMLElement; problems: HTMLElement; notices: HTMLElement;
  status: HTMLElement; place: HTMLElement; dirty: HTMLElement;
  save: HTMLButtonElement; run: HTMLButtonElement | null; undo: HTMLButtonElement; redo: HTMLButtonElement; files: HTMLButtonElement;
  remove: HTMLButtonElement | null; rename: HTMLButtonElement | null; branch: HTMLSelectElement;
  onTab(chosen: (tab: Tab) => void): void;
  choose(tab: Tab): void;
  show(tab: Tab): void;
  offerCopilot(open: (pane: HTMLElement) => void, atOnce: boolean): void;
  /** Offer the branches, once they are known. */
  branches(names: readonly string[], now: string): void;
  saved(made: Saved, path: string): void;
}
export interface Shape { readOnly: boolean; isFlow: boolean; branch: string; deployed: string; canRemove: boolean }

const button = (text: string, more: Record<string, string | boolean | null> = {}): HTMLButtonElement => make("button", { class: "button small", type: "button", ...more }, text);

export function frame(host: HTMLElement, shape: Shape): Frame {
  const tabs = ([["text", words.tab_text], ["form", words.tab_form], ["changes", words.tab_changes]] as const)
    .filter(([key]) => key === "text" || (key === "form" ? shape.isFlow : !shape.readOnly))
    .map(([key, name]) => make("button", { role: "tab", type: "button", id: `ed-tab-${key}`, "aria-controls": `ed-${key}`, "aria-selected": key === "text" ? "true" : "false", tabindex: key === "text" ? 0 : -1, "data-tab": key }, name));
  const tablist = make("div", { class: "ed-tabs", role: "tablist", "aria-label": words.views }, ...tabs);
  const files = button(words.files, { "aria-expanded": "false", "aria-controls": "ed-files" });
  const undo = button(words.undo), redo = button(words.redo);
  const save = make("button", { class: "button small primary", type: "button", title: "Ctrl+S" }, words.save);
  const run = shape.isFlow ? button(words.run, { title: "Ctrl+Enter" }) : null;
  const help = button(words.help, { "aria-haspopup": "dialog" });
  const dirty = make("span", { class: "ed-dirty", hidden: true }, words.unsaved);
  const remove = shape.canRemove && !shape.readOnly ? make("button", { class: "item", type: "button" }, words.remove_file) : null;
  const rename = shape.canRemove && !shape.readOnly ? make("button", { class: "item", type: "button" }, words.rename_file) : null;
  const more = remove ? make("details", { class: "menu" }, make("summary", { class: "button small" }, words.more), make("div", { class: "panel" }, rename, remove)) : null;
  const branch = make("select", { "aria-label": words.branch_label, hidden: true });
  const assistant = make("span", { class: "ed-slot" });
  const drawing = shape.isFlow ? button(words.picture, { "aria-pressed": "true" }) : null;
  const bar = make("div", { class: "ed-bar", role: "group", "aria-label": words.toolbar },
    files, tablist, branch, shape.readOnly ? null : undo, shape.readOnly ? null : redo, assistant, make("span", { class: "ed-gap" }), dirty, drawing, help, more, run, shape.readOnly ? null : save);
  const filePane = make("aside", { class: "ed-files", id: "ed-files", hidden: true, "aria-label": words.files });
  const pane = (key: Tab): HTMLElement => make("div", { class: `ed-pane ed-${key}`, id: `ed-${key}`, role: key === "conflict" ? "region" : "tabpanel", "aria-labelledby": key === "conflict" ? null : `ed-tab-${key}`, "aria-label": key === "conflict" ? words.conflict_title : null, hidden: key !== "text" });
  const panes = { text: pane("text"), form: pane("form"), changes: pane("changes"), conflict: pane("conflict") };
  const mounted = make("div", { class: "ed-view" });
  panes.text.append(mounted);
  const picture = shape.isFlow ? make("div", { class: "ed-drawing" }) : null;
  const side = make("aside", { class: "ed-side", hidden: !picture, "aria-label": words.picture_label }, picture);
  const status = make("span", { class: "ed-status", role: "status" });
  const place = make("span", { class: "ed-place" }, "1:1");
  const problems = make("ul", { class: "ed-problems", hidden: true, "aria-label": words.problems });
  const notices = make("div", { class: "ed-notices" });
  host.classList.add("ed");
  host.replaceChildren(notices, bar, make("div", { class: "ed-body" }, filePane, make("div", { class: "ed-main" }, ...Object.values(panes)), side), make("div", { class: "ed-foot" }, status, place), problems);
  let wanted: boolean | null = null; // whether somebody chose to see the picture, or not
  let current: Tab = "text";
  const arrange = (): void => {
    const seen = current === "text" || current === "form" ? (wanted ?? (current === "text" || window.innerWidth > 1700)) : false;
    side.classList.toggle("away", !seen);
    drawing?.setAttribute("aria-pressed", String(seen));
  };
  drawing?.addEventListener("click", () => { wanted = side.classList.contains("away"); arrange(); });
  let chosen: (tab: Tab) => void = () => undefined;
  const select = (tab: Tab): void => {
    for (const each of tabs) {
      const on = each.dataset["tab"] === tab;
      each.setAttribute("aria-selected", String(on));
      each.tabIndex = on ? 0 : -1;
    }
    chosen(tab);
  };
  tablist.addEventListener("click", (event) => {
    const tab = (event.target as HTMLElement).closest<HTMLElement>("[data-tab]")?.dataset["tab"] as Tab | undefined;
    if (tab) select(tab);
  });
  tablist.addEventListener("keydown", (event) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    const now = tabs.findIndex((each) => each.getAttribute("aria-selected") === "true");
    const next = tabs[(now + step + tabs.length) % tabs.length]!;
    select(next.dataset["tab"] as Tab);
    next.focus();
  });
  help.addEventListener("click", () => keysDialog());
  return {
    host, ...panes, text: mounted, picture, filePane, problems, notices, status, place, dirty, save, run, undo, redo, files, remove, rename, branch,
    onTab: (listener) => { chosen = listener; },
    choose: select,
    show: (tab) => { for (const [key, each] of Object.entries(panes)) each.hidden = key !== tab; current = tab; arrange(); },
    offerCopilot: (open, atOnce) => {
      const made = button(words.copilot, { "aria-expanded": "false" });
      const drawer = make("div", { class: "ed-copilot", hidden: true });
      bar.after(drawer);
      assistant.replaceChildren(made);
      made.addEventListener("click", () => {
        drawer.hidden = !drawer.hidden;
        made.setAttribute("aria-expanded", String(!drawer.hidden));
        if (!drawer.hidden && !drawer.childElementCount) open(drawer);
      });
      if (atOnce) made.click();
    },
    branches: (names, now) => {
      branch.replaceChildren(...names.map((each) => make("option", { value: each, selected: each === now }, each === shape.deployed ? fill(words.deployed_branch, { branch: each }) : each)));
      branch.hidden = names.length < 2;
    },
    saved: (made, path) => {
      const title = find(".editor-head h1");
      if (title) title.textContent = path.split("/").pop() ?? path;
      const crumb = every(".crumbs > *").pop();
      if (crumb) crumb.textContent = path;
      const commit = find(".editor-head .facts .mono");
      if (commit) commit.textContent = fill(words.commit_at, { commit: made.commit.slice(0, 8) });
      if (branch.options.length && ![...branch.options].some((each) => each.value === made.branch)) branch.add(make("option", { value: made.branch }, made.branch));
      branch.value = made.branch;
    },
  };
}

function keysDialog(): void {
  const rows = [
    ["Ctrl S", words.key_save], ["Ctrl Enter", words.key_run], ["Ctrl Space", words.key_complete], ["Ctrl F", words.key_find], ["F8", words.key_next], ["Tab", words.key_tab], ["Ctrl Z · Ctrl Y", words.key_undo],
    ["Ctrl /", words.key_comment], ["Ctrl Alt G", words.key_line], ["Alt ↑ · Alt ↓", words.key_move], ["Ctrl D", words.key_select], ["Ctrl Shift [ · ]", words.key_fold],
  ] as const;
  const close = make("button", { class: "button", value: "close" }, words.close);
  const dialog = make("dialog", { class: "dialog", "aria-labelledby": "ed-keys-title" },
    make("form", { method: "dialog" }, make("h2", { id: "ed-keys-title" }, words.help),
      make("table", { class: "plain ed-keys" }, make("tbody", {}, ...rows.map(([keys, about]) => make("tr", {}, make("th", { scope: "row" }, make("kbd", {}, keys)), make("td", {}, about))))),
      make("div", { class: "dialog-foot" }, close)));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
