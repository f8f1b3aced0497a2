// The editor page: text and form of one file in step, its checks, its picture, its commits. The form for browsers without scripts is put away.
import { redo, undo } from "@codemirror/commands";
import type { EditorView, ViewUpdate } from "@codemirror/view";
import { editor as words } from "../../strings.json";
import { fill, find, make, toast } from "./lib/dom";
import { complete, hover, lines } from "./lib/editor/assist";
import { showChanges } from "./lib/editor/compare";
import { draftKey, dropDraft, keepDraft, loadDraft } from "./lib/editor/draft";
import { address, showFiles } from "./lib/editor/files";
import { blockAt, outline, partAt, taskEntry, textAt } from "./lib/editor/outline";
import { liveChecks, type Checks } from "./lib/editor/problems";
import { saveDialog, savedNotice, showConflict, type Sheet, type Wanted } from "./lib/editor/saving";
import { branches, check, copilot, file, validate, type Conflict, type Problem, type Saved } from "./lib/editor/server";
import { frame, type Frame, type Tab } from "./lib/editor/frame";
import { mount } from "./lib/editor/view";

interface Data extends Sheet {
  text: string;
  kind: "flow" | "file";
  why: string | null;
  flow: [string, string] | null;
  person: string;
  askedFlow: string;
  message: string;
}

const DRAFT_MS = 400;
const POINT_MS = 150;

class Page {
  private readonly crlf: boolean;
  private original: string;
  private readonly parts: Frame;
  private readonly view: EditorView;
  private readonly checks: Checks | null;
  private tab: Tab = "text";
  private beside: { destroy(): void } | null = null;
  private form: { update(): void; destroy(): void } | null = null;
  private picture: { update(): void; select(id: string | null): void } | null = null;
  private draftTimer = 0;
  private pointTimer = 0;
  private draftOf: { base: string; blob: string };

  constructor(private readonly data: Data, host: HTMLElement) {
    const endings = data.text.match(/\r\n|\n/g) ?? [];
    const both = endings.filter((each) => each === "\r\n").length;
    this.crlf = both > endings.length / 2;
    this.original = normal(data.text);
    this.draftOf = { base: this.original, blob: data.blob };
    this.parts = frame(host, { readOnly: data.why !== null, isFlow: data.kind === "flow", branch: data.branch, deployed: data.deployedBranch, canRemove: data.blob !== "" && !data.isNew });
    this.view = mount(this.parts.text, {
      text: this.original, name: data.path || "flow.yaml", label: fill(words.text, { path: data.path }), readOnly: data.why !== null,
      ...(data.kind === "flow" ? { complete, hover } : {}), onUpdate: (update) => this.updated(update),
      keys: [
        { key: "Mod-s", preventDefault: true, run: () => { this.save(false); return true; } },
        { key: "Mod-Enter", preventDefault: true, run: () => { this.run(); return true; } },
      ],
    });
    this.checks = this.startChecks();
    this.listen();
    if (both > 0 && both < endings.length) this.notice(words.mixed_lines, "warn");
    if (/\.ya?ml$/.test(data.path) && /^[ ]*\t/m.test(this.original)) this.notice(words.tabs, "warn");
    this.restore();
    this.goToFlow();
    void this.startPicture();
    void this.startCopilot();
    if (this.data.source && window.matchMedia("(min-width: 1000px)").matches) this.toggleFiles(true);
    this.marks();
    host.dataset["ready"] = "";
  }

  /** The copilot's button, where there is a copilot; `?copilot=…` in the address opens it with these words (nothing is sent by that). */
  private async startCopilot(): Promise<void> {
    if (this.data.kind !== "flow" || this.data.why !== null) return;
    const there = await copilot().catch(() => ({ enabled: false }));
    if (!there.enabled) return;
    const prompt = new URLSearchParams(location.search).get("copilot");
    this.parts.offerCopilot((pane) => {
      void import("./copilot").then(({ copilotPanel }) => copilotPanel(pane, {
        current: () => this.text(), accept: (text) => { this.replace(normal(text)); this.parts.choose("text"); }, ...(prompt ? { prompt } : {}),
      }));
    }, prompt !== null);
  }

  private text(): string { return this.view.state.doc.toString(); }
  private dirty(): boolean {
    const { doc } = this.view.state;
    return this.data.why === null && (this.data.isNew || doc.length !== this.original.length || doc.toString() !== this.original);
  }
  private toSave(text: string): string { return this.crlf ? text.replaceAll("\n", "\r\n") : text; }
  private get flowPage(): string | null {
    const [namespace, id] = this.names();
    return namespace && id ? `/flows/${encodeURIComponent(namespace)}/${encodeURIComponent(id)}` : null;
  }

  /** Namespace and id of the flow that the cursor is in. */
  private names(): [string, string] | [null, null] {
    const part = partAt(outline(lines(this.view.state)), this.view.state.doc.lineAt(this.view.state.selection.main.head).number - 1);
    const [namespace, id] = part ? [textAt(part.root, "namespace"), textAt(part.root, "id")] : [null, null];
    return this.data.kind === "flow" && namespace && id ? [namespace, id] : [null, null];
  }

  // ---- what happens while somebody types

  private updated(update: ViewUpdate): void {
    if (update.docChanged) {
      this.checks?.later();
      this.marks();
      this.form?.update();
      clearTimeout(this.draftTimer);
      this.draftTimer = window.setTimeout(() => this.keep(), DRAFT_MS);
    }
    if (update.selectionSet || update.docChanged) {
      const head = update.state.selection.main.head;
      const line = update.state.doc.lineAt(head);
      this.parts.place.textContent = `${line.number}:${head - line.from + 1}`;
      clearTimeout(this.pointTimer);
      this.pointTimer = window.setTimeout(() => this.point(), POINT_MS);
    }
  }

  /** Show in the picture where the cursor is. */
  private point(): void {
    if (!this.picture) return;
    const line = this.view.state.doc.lineAt(this.view.state.selection.main.head).number - 1;
    const root = partAt(outline(lines(this.view.state)), line)?.root;
    this.picture.select(root ? (blockAt(root, line)?.id ?? null) : null);
  }

  private marks(): void {
    const dirty = this.dirty();
    this.parts.dirty.hidden = !dirty;
    this.parts.save.disabled = !dirty;
    this.parts.host.toggleAttribute("data-dirty", dirty);
  }

  private keep(): void {
    const key = draftKey(this.data.source, this.data.branch, this.data.path);
    if (!this.dirty() || this.text() === this.original) { dropDraft(key); return; }
    if (!keepDraft(key, { text: this.text(), ...this.draftOf, at: Date.now() })) this.notice(words.draft_not_kept, "warn", "draft");
  }

  private startChecks(): Checks | null {
    const { data } = this;
    if (data.kind === "flow") return liveChecks(this.view, this.parts.problems, this.parts.status, validate, (found) => { if (!found.some((each) => each.severity === "error")) this.picture?.update(); });
    if (!/\.ya?ml$/.test(data.path) || data.why !== null) return null;
    return liveChecks(this.view, this.parts.problems, this.parts.status, (text, signal) => check(data.source, data.path, text, data.branch, signal), () => undefined);
  }

  private listen(): void {
    const { parts } = this;
    parts.save.addEventListener("click", () => this.save(false));
    parts.run?.addEventListener("click", () => this.run());
    parts.undo.addEventListener("click", () => undo(this.view));
    parts.redo.addEventListener("click", () => redo(this.view));
    parts.files.addEventListener("click", () => this.toggleFiles(parts.filePane.hidden === true));
    parts.onTab((tab) => this.show(tab));
    parts.remove?.addEventListener("click", () => this.ask("remove"));
    parts.rename?.addEventListener("click", () => this.ask("rename"));
    parts.branch.addEventListener("change", () => { location.href = address(this.data.source, this.data.path, parts.branch.value === this.data.deployedBranch ? null : parts.branch.value); });
    if (this.data.branch) void branches(this.data.source).then((names) => parts.branches(names, this.data.branch)).catch(() => undefined);
    window.addEventListener("beforeunload", (event) => { this.keep(); if (this.dirty() && this.text() !== this.original) event.preventDefault(); });
    parts.host.addEventListener("keydown", (event) => {
      if (!(event.ctrlKey || event.metaKey) || event.defaultPrevented) return;
      const inField = (event.target as HTMLElement).matches("input, textarea, select");
      if (event.key === "s") { event.preventDefault(); this.save(false); }
      else if (event.key === "Enter") { event.preventDefault(); this.run(); }
      else if (event.key.toLowerCase() === "z" && !inField && this.tab === "form") { event.preventDefault(); (event.shiftKey ? redo : undo)(this.view); }
    });
  }

  // ---- views

  private show(tab: Tab): void {
    if (tab === this.tab && tab !== "conflict") return;
    this.beside?.destroy();
    this.beside = null;
    if (tab !== "form") { this.form?.destroy(); this.form = null; }
    this.tab = tab;
    this.parts.show(tab);
    if (tab === "changes") {
      const text = this.text();
      if (text === this.original && !this.data.isNew) this.parts.changes.replaceChildren(make("p", { class: "pad dim" }, words.nothing_changed));
      else {
        const pane = make("div", { class: "ed-diff" });
        this.parts.changes.replaceChildren(pane);
        this.beside = showChanges(pane, this.data.isNew ? "" : this.original, text, this.data.path);
      }
    } else if (tab === "form") void this.startForm();
    else if (tab === "text") this.view.requestMeasure();
  }

  private async startForm(): Promise<void> {
    this.parts.form.replaceChildren(make("p", { class: "pad dim" }, words.form_loading));
    const { formPanel } = await import("./nocode");
    if (this.tab !== "form") return;
    this.form = formPanel(this.parts.form, this.view, { readOnly: this.data.why !== null, toText: (line) => { this.parts.choose("text"); this.jump(line); }, asked: this.data.askedFlow });
  }

  private jump(line: number): void {
    const place = this.view.state.doc.line(Math.min(line + 1, this.view.state.doc.lines));
    this.view.dispatch({ selection: { anchor: place.from }, scrollIntoView: true });
    this.view.focus();
  }

  private goToFlow(): void {
    if (!this.data.askedFlow) return;
    const part = outline(lines(this.view.state)).find((each) => textAt(each.root, "id") === this.data.askedFlow);
    if (part && part.from > 0) this.jump(part.root.children[0]?.line ?? part.from);
  }

  private toggleFiles(open: boolean): void {
    this.parts.filePane.hidden = !open;
    this.parts.files.setAttribute("aria-expanded", String(open));
    if (open && !this.parts.filePane.childElementCount) {
      const asked = this.data.branch === this.data.deployedBranch ? null : this.data.branch;
      void showFiles(this.parts.filePane, this.data.source, this.data.branch, asked, this.data.path);
    }
  }

  private async startPicture(): Promise<void> {
    if (this.data.kind !== "flow" || !this.parts.picture) return;
    const { livePicture } = await import("./lib/editor/picture");
    this.picture = livePicture(this.parts.picture, () => this.text(), (id) => {
      const root = outline(lines(this.view.state)).map((each) => taskEntry(each.root, id)).find((each) => each !== null);
      if (root) { this.parts.choose("text"); this.jump(root.line); }
    });
    if (this.checks?.asked() && !this.checks.problems().some((each) => each.severity === "error")) this.picture.update();
  }

  /** Another text in the place of this one, as one step that can be undone. */
  private replace(text: string): void {
    this.view.dispatch({ changes: { from: 0, to: this.view.state.doc.length, insert: text } });
  }

  // ---- saving

  private ask(kind: Wanted["kind"], again: { message?: string; runs?: boolean } = {}): void {
    if (this.data.why !== null) { toast(this.data.why, "warn"); return; }
    const problems: readonly Problem[] = this.checks?.problems() ?? [];
    saveDialog(this.sheet(), { kind, text: this.toSave(this.text()), runs: again.runs === true, problems, ...(again.message || this.data.message ? { message: again.message ?? this.data.message } : {}) }, {
      saved: (made, path, runs, what) => void this.saved(made, path, runs, what),
      conflict: (found, head, more) => this.conflict(found, head, more),
    });
  }

  private sheet(): Sheet {
    const { source, path, branch, deployedBranch, commit, blob, isNew, directory } = this.data;
    return { source, path, branch, deployedBranch, commit, blob, isNew, directory };
  }

  private save(runs: boolean): void {
    if (!this.dirty()) { toast(this.data.why ?? words.nothing_changed, "info"); return; }
    this.ask("save", { runs });
  }

  private run(): void {
    if (this.data.kind !== "flow") return;
    if (this.dirty()) { this.save(true); return; }
    if (this.flowPage) location.href = `${this.flowPage}?tab=run`;
  }

  private async saved(made: Saved, path: string, runs: boolean, kind: Wanted["kind"]): Promise<void> {
    const asked = made.branch === this.data.deployedBranch ? null : made.branch;
    dropDraft(draftKey(this.data.source, this.data.branch, this.data.path));
    if (kind === "remove") { this.leave(`/editor/${encodeURIComponent(this.data.source)}${asked ? `?branch=${encodeURIComponent(asked)}` : ""}`); return; }
    if (kind === "rename") { this.leave(address(this.data.source, path, asked)); return; }
    const text = this.text();
    Object.assign(this.data, { path, branch: made.branch, commit: made.commit, isNew: false, message: "" });
    this.original = text;
    const found = await file(this.data.source, path, made.commit).catch(() => null);
    if (found) this.data.blob = found.blob;
    this.draftOf = { base: this.original, blob: this.data.blob };
    history.replaceState(null, "", address(this.data.source, path, asked));
    this.marks();
    this.parts.saved(made, path);
    this.parts.notices.replaceChildren(savedNotice(made, this.flowPage ? { page: this.flowPage } : null, this.data.directory));
    if (!this.parts.filePane.hidden) { this.parts.filePane.replaceChildren(); this.toggleFiles(true); }
    if (this.tab !== "text" && this.tab !== "form") this.parts.choose("text");
    if (runs && this.flowPage && made.deployment?.deployed && !made.deployment.rejected?.length) this.leave(`${this.flowPage}?tab=run`);
  }

  private leave(to: string): void {
    this.original = this.text();
    this.data.isNew = false;
    location.href = to;
  }

  private conflict(found: Conflict, head: string, again: { message: string; runs: boolean }): void {
    this.show("conflict");
    showConflict(this.parts.conflict, found, this.data.path, (text) => {
      this.replace(text);
      this.original = normal(found.theirs ?? "");
      Object.assign(this.data, { commit: head || this.data.commit, blob: found.blob, isNew: found.theirs === null });
      this.draftOf = { base: this.original, blob: found.blob };
      this.parts.choose("text");
      this.marks();
      this.keep();
      this.ask("save", again);
    }, () => this.parts.choose("text"));
  }

  // ---- what was not saved

  private restore(): void {
    const { data } = this;
    if (data.why !== null) return;
    const key = draftKey(data.source, data.branch, data.path);
    const draft = loadDraft(key);
    if (!draft || draft.text === this.original) return;
    const discard = make("button", { class: "button small", type: "button" }, words.draft_discard);
    if (draft.blob === data.blob) {
      this.replace(draft.text);
      const told = this.notice(words.draft_restored, "warn", "draft", discard);
      discard.addEventListener("click", () => { this.replace(this.original); dropDraft(key); told.remove(); this.view.focus(); });
      return;
    }
    const compare = make("button", { class: "button small primary", type: "button" }, words.draft_compare);
    const told = this.notice(words.draft_older, "warn", "draft", compare, discard);
    discard.addEventListener("click", () => { dropDraft(key); told.remove(); });
    compare.addEventListener("click", () => {
      told.remove();
      this.show("conflict");
      const found: Conflict = { path: data.path, base: draft.base, theirs: this.original, ours: draft.text, blob: data.blob };
      showConflict(this.parts.conflict, found, data.path, (text) => { this.replace(text); this.parts.choose("text"); }, () => this.parts.choose("text"));
    });
  }

  private notice(text: string, kind: "ok" | "warn" | "bad", key = "", ...buttons: HTMLElement[]): HTMLElement {
    if (key) find(`[data-notice="${key}"]`, this.parts.notices)?.remove();
    const made = make("div", { class: `banner ${kind}`, role: "status", "data-notice": key || null }, make("span", {}, text), ...buttons);
    this.parts.notices.append(made);
    return made;
  }
}

const normal = (text: string): string => text.replaceAll("\r\n", "\n").replaceAll("\r", "\n");

const holder = find<HTMLScriptElement>("#editor-data");
const host = find("#editor");
if (holder && host) {
  const data = JSON.parse(holder.textContent ?? "{}") as Data;
  find("#plain-editor")?.remove();
  host.hidden = false;
  new Page(data, host);
}
