// Saving: a dialog with message and branch, the commit, what became of it; a conflict with somebody else's push as two texts that are put together.
import { editor as words } from "../../../../strings.json";
import { fill, make } from "../dom";
import { resolve } from "./compare";
import { merge } from "./merging";
import { publish, Refused, type Change, type Conflict, type Problem, type Saved } from "./server";

export interface Sheet {
  source: string;
  path: string;
  branch: string;
  deployedBranch: string;
  commit: string;
  blob: string;
  isNew: boolean;
  /** The source is a directory: files are written where they lie, without a commit. */
  directory: boolean;
}
export interface Wanted { kind: "save" | "remove" | "rename"; text: string; runs: boolean; problems: readonly Problem[]; message?: string }
export interface Told { saved(made: Saved, path: string, runs: boolean, kind: Wanted["kind"]): void; conflict(found: Conflict, head: string, again: { message: string; runs: boolean }): void }

/** Ask for a message and a branch, and commit. The dialog stays while the server refuses, with its words. */
export function saveDialog(sheet: Sheet, wanted: Wanted, told: Told): void {
  const errors = wanted.problems.filter((each) => each.severity === "error").length;
  const usual = (path: string): string => fill(wanted.kind === "remove" ? words.message_remove : wanted.kind === "rename" ? words.message_rename : sheet.isNew ? words.message_add : words.message_change, { path, old: sheet.path });
  const path = make("input", { id: "save-path", name: "path", required: true, autocomplete: "off", spellcheck: "false" });
  path.value = sheet.path;
  const message = make("textarea", { id: "save-message", rows: 2, required: true });
  message.value = wanted.message || usual(sheet.path);
  const direct = make("input", { type: "radio", name: "way", value: "direct", checked: true });
  const review = make("input", { type: "radio", name: "way", value: "review" });
  const branch = make("input", { id: "save-branch", autocomplete: "off", spellcheck: "false", "aria-label": words.new_branch_name, hidden: true });
  branch.value = `edit/${sheet.path.split("/").pop()!.replace(/\.\w+$/, "").replace(/[^\w.-]+/g, "-") || "change"}-${new Date().toISOString().slice(0, 16).replace(/[-:T]/g, "")}`;
  const way = (): void => { branch.hidden = !review.checked; if (review.checked) branch.focus(); };
  direct.addEventListener("change", way);
  review.addEventListener("change", way);
  path.addEventListener("input", () => { if (message.value === usual(path.defaultValue) || !message.dataset["typed"]) message.value = usual(path.value.trim()); });
  message.addEventListener("input", () => { message.dataset["typed"] = "1"; });
  const label = sheet.directory ? (wanted.runs ? words.write_and_run : words.write_file) : wanted.runs ? words.commit_and_run : words.save_commit;
  const said = make("div", { class: "save-said", role: "alert" });
  const go = make("button", { class: "button primary", value: "go" }, label);
  const stop = make("button", { class: "button", type: "button" }, words.cancel);
  const named = wanted.kind === "rename" || sheet.isNew;
  const form = make("form", { class: "save" },
    make("h2", { id: "save-title" }, wanted.kind === "remove" ? fill(words.remove_title, { path: sheet.path }) : wanted.kind === "rename" ? words.rename_title : words.save_title),
    errors && wanted.kind === "save" ? make("p", { class: "banner warn" }, fill(words.save_with_problems, { n: errors })) : null,
    named ? make("label", { for: "save-path" }, words.path, path) : null,
    sheet.directory ? make("p", { class: "dim" }, words.in_directory) : make("label", { for: "save-message" }, words.message, message),
    sheet.directory ? null : make("fieldset", {}, make("legend", {}, words.branch),
      make("label", { class: "choice" }, direct, fill(sheet.branch === sheet.deployedBranch ? words.to_deployed : words.to_branch, { branch: sheet.branch })),
      make("label", { class: "choice" }, review, words.new_branch), branch),
    said, make("div", { class: "dialog-foot" }, stop, go));
  const dialog = make("dialog", { class: "dialog save-dialog", "aria-labelledby": "save-title" }, form);
  dialog.addEventListener("close", () => dialog.remove());
  stop.addEventListener("click", () => dialog.close());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void send();
  });
  message.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); } });
  const send = async (): Promise<void> => {
    const target = path.value.trim().replace(/^\/+/, "");
    go.disabled = true;
    go.textContent = words.saving;
    said.replaceChildren();
    try {
      const made = await publish(sheet.source, {
        base: sheet.commit, message: message.value.trim(), changes: changesFor(sheet, wanted, target),
        ...(review.checked ? { newBranch: branch.value.trim() } : { branch: sheet.branch }),
      });
      dialog.close();
      told.saved(made, target, wanted.runs, wanted.kind);
    } catch (error) {
      const conflict = error instanceof Refused ? error.conflicts.find((each) => each.path === sheet.path || each.path === target) : undefined;
      if (error instanceof Refused && conflict && wanted.kind === "save") {
        dialog.close();
        told.conflict(conflict, error.head, { message: message.value, runs: wanted.runs });
        return;
      }
      const refused = error instanceof Refused ? error : new Refused(0, words.no_server, error instanceof Error ? error.message : "");
      said.replaceChildren(make("p", { class: "error-text" }, refused.message), make("p", { class: "dim" }, refused.hint));
      go.disabled = false;
      go.textContent = label;
    }
  };
  document.body.append(dialog);
  dialog.showModal();
  if (named) path.focus();
  else if (sheet.directory) go.focus();
  else { message.focus(); message.select(); }
}

function changesFor(sheet: Sheet, wanted: Wanted, target: string): Change[] {
  if (wanted.kind === "remove") return [{ path: sheet.path, text: null, blob: sheet.blob }];
  if (wanted.kind === "rename") return [{ path: sheet.path, text: null, blob: sheet.blob }, { path: target, text: wanted.text, blob: "" }];
  return [{ path: target, text: wanted.text, blob: target === sheet.path ? sheet.blob : "" }];
}

/** What differs between theirs and ours, to be put together. done: with the text to save on top of theirs. */
export function showConflict(host: HTMLElement, found: Conflict, name: string, done: (text: string) => void, back: () => void): void {
  const theirs = (found.theirs ?? "").replaceAll("\r\n", "\n");
  const ours = (found.ours ?? "").replaceAll("\r\n", "\n");
  const merged = found.base !== null && found.theirs !== null ? merge(found.base.replaceAll("\r\n", "\n"), theirs, ours) : { text: ours, conflicts: 1 };
  const pane = make("div", { class: "ed-merge" });
  const use = make("button", { class: "button primary", type: "button" }, words.use_result);
  const leave = make("button", { class: "button", type: "button" }, words.back_to_text);
  const about = found.theirs === null ? (found.binary ? words.conflict_binary : words.conflict_gone) : merged.conflicts === 1 ? words.conflict_one : merged.conflicts ? fill(words.conflict_both, { n: merged.conflicts }) : words.conflict_clean;
  const title = make("h2", { tabindex: "-1" }, words.conflict_title);
  host.replaceChildren(
    make("div", { class: "ed-conflict-head", role: "alert" }, title, make("p", {}, about)),
    make("div", { class: "ed-merge-names", "aria-hidden": "true" }, make("span", {}, words.theirs), make("span", {}, words.result)), pane,
    make("div", { class: "dialog-foot" }, leave, use));
  const view = resolve(pane, theirs, merged.text, name);
  use.addEventListener("click", () => { const text = view.text(); view.destroy(); done(text); });
  leave.addEventListener("click", () => { view.destroy(); back(); });
  title.focus();
}

/** What became of a commit. */
export function savedNotice(made: Saved, flow: { page: string } | null, directory: boolean): HTMLElement {
  const deployment = made.deployment;
  const rejected = deployment?.rejected ?? [];
  const verdict = !deployment ? "" : rejected.length ? words.rejected : deployment.held ? fill(words.held, { why: deployment.held }) : deployment.error ? deployment.error : deployment.deployed ? words.deployed : words.not_deployed_yet;
  const kind = rejected.length || deployment?.error ? "bad" : deployment && !deployment.deployed ? "warn" : "ok";
  return make("div", { class: `banner ${kind} ed-saved`, role: "status" },
    make("span", {}, directory ? words.written : fill(words.saved, { commit: made.commit.slice(0, 8), branch: made.branch }), ". ", verdict, " ",
      made.url ? make("a", { href: made.url, rel: "noopener noreferrer" }, words.open_commit) : null, " ",
      made.review ? make("a", { href: made.review, rel: "noopener noreferrer" }, words.open_review) : null, " ",
      flow && !rejected.length && deployment?.deployed ? make("a", { href: `${flow.page}?tab=run` }, words.run_it) : null,
      ...rejected.flatMap((each) => each.problems.map((one) => make("span", { class: "rejected" }, `${each.path}:${one.line}:${one.column} ${one.message}`)))));
}
