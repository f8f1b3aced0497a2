// The flow as a form: blocks at the left, the properties of one at the right. It changes the text, and only that: both views are always in step.
import type { EditorView } from "@codemirror/view";
import { nocode as words } from "../../strings.json";
import { every, fill, find, make, toast } from "./lib/dom";
import { chooseType } from "./lib/editor/adding";
import { loadLanguage, prose } from "./lib/editor/assist";
import { allBlocks, innerLists, keyOf, listsOf, newBlock, takenIds, targets, type Block, type List } from "./lib/editor/blocks";
import { freshId } from "./lib/editor/complete";
import { aliasAt, CannotEdit, duplicate, insertAt, moveTo, read, removeAt, setValue, valueAt, type Read } from "./lib/editor/edits";
import { field, fieldsOf, type Form } from "./lib/editor/fields";
import { at, outline, type Step } from "./lib/editor/outline";
import type { Kind, Language } from "./lib/editor/schema";

export interface PanelOptions { readOnly: boolean; toText(line: number): void; asked: string }
const FLOW = "flow";
const LATER_MS = 180;

/** Fill a host with the form of a view's text. update: the text changed. */
export function formPanel(host: HTMLElement, view: EditorView, options: PanelOptions): { update(): void; destroy(): void } {
  const panel = new Panel(host, view, options);
  return { update: () => panel.later(), destroy: () => panel.destroy() };
}

class Panel {
  private language: Language | null = null;
  private found: Read = { values: [], documents: [], errors: [] };
  private lists: List[] = [];
  private part = 0;
  private selected: string = FLOW;
  private timer = 0;
  private pressed = false;
  private gone = false;
  private readonly nav = make("nav", { class: "nc-nav", "aria-label": words.blocks });
  private readonly body = make("section", { class: "nc-form", "aria-label": words.properties });
  private readonly form: Form;
  private readonly press = (event: Event): void => { this.pressed = event.type === "pointerdown"; };

  constructor(private readonly host: HTMLElement, private readonly view: EditorView, private readonly options: PanelOptions) {
    this.form = {
      language: null as unknown as Language, readOnly: options.readOnly, type: "", raw: new Set(), open: new Set(), editors: [],
      set: (path, value) => this.change((text) => setValue(text, this.part, path, value)),
      alias: (path) => aliasAt(this.found.documents[this.part], path),
      again: () => this.soon(0),
      root: () => outline(this.view.state.doc.toString().split("\n"))[this.part]?.root ?? null,
      chooseType: async (kind) => (await chooseType(this.language!, kind))?.short ?? null,
    };
    for (const name of ["pointerdown", "pointerup", "pointercancel"]) document.addEventListener(name, this.press, true);
    host.classList.add("nc");
    void this.start();
  }

  private async start(): Promise<void> {
    try {
      this.language = this.form.language = await loadLanguage();
    } catch (error) {
      this.host.replaceChildren(make("p", { class: "error-text pad", role: "alert" }, String(error)));
      return;
    }
    if (this.gone) return;
    this.host.replaceChildren(this.nav, this.body);
    this.readText();
    const wanted = this.options.asked ? this.found.values.findIndex((each) => (each as { id?: unknown } | null)?.id === this.options.asked) : 0;
    this.part = Math.max(0, wanted);
    this.draw();
  }

  destroy(): void {
    this.gone = true;
    clearTimeout(this.timer);
    for (const each of this.form.editors) each.destroy();
    for (const name of ["pointerdown", "pointerup", "pointercancel"]) document.removeEventListener(name, this.press, true);
  }

  later(): void { this.soon(LATER_MS); }

  /** Draw again, but not while somebody holds the mouse down: the click would meet nothing. */
  private soon(wait: number): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => { if (this.pressed) this.soon(60); else if (!this.gone && this.language) this.draw(); }, wait);
  }

  private readText(): void {
    this.found = read(this.view.state.doc.toString());
    this.part = Math.min(this.part, Math.max(0, this.found.values.length - 1));
    this.lists = this.language ? listsOf(this.found.values[this.part], this.language) : [];
  }

  /** Change the text: only what differs is put in, as one step that can be undone. */
  private change(how: (text: string) => string): boolean {
    const before = this.view.state.doc.toString();
    try {
      const after = how(before);
      if (after === before) return true;
      let from = 0;
      while (from < before.length && from < after.length && before[from] === after[from]) from++;
      let [end, to] = [before.length, after.length];
      while (end > from && to > from && before[end - 1] === after[to - 1]) { end--; to--; }
      this.view.dispatch({ changes: { from, to: end, insert: after.slice(from, to) }, userEvent: "input.form" });
      this.readText();
      return true;
    } catch (error) {
      if (!(error instanceof CannotEdit)) throw error;
      toast(fill(words.cannot, { why: error.message }), "bad");
      this.soon(0);
      return false;
    }
  }

  // ---- drawing

  private draw(): void {
    const focus = this.focused();
    const scroll = this.body.scrollTop;
    this.readText();
    if (this.found.errors.length) { this.broken(); return; }
    for (const each of this.form.editors.splice(0)) each.destroy();
    const block = allBlocks(this.lists).find((each) => keyOf(each.path) === this.selected) ?? null;
    if (!block && this.selected !== FLOW) this.selected = FLOW;
    this.nav.replaceChildren(...this.navigation());
    this.body.replaceChildren(...(block ? this.ofBlock(block) : this.ofFlow()));
    this.body.scrollTop = scroll;
    this.restore(focus);
  }

  private broken(): void {
    const first = this.found.errors[0]!;
    const jump = make("button", { type: "button", class: "button small" }, words.to_text);
    jump.addEventListener("click", () => this.options.toText(first.line - 1));
    this.nav.replaceChildren();
    this.body.replaceChildren(make("div", { class: "banner bad", role: "alert" }, make("span", {}, fill(words.broken, { line: first.line, column: first.column, why: first.message })), jump));
  }

  private focused(): { path: string; start: number | null; value: string } | null {
    const active = document.activeElement as HTMLInputElement | null;
    if (!active || !this.host.contains(active)) return null;
    const path = active.dataset["path"] ?? active.dataset["block"] ?? active.id;
    return path ? { path, start: "selectionStart" in active ? active.selectionStart : null, value: active.value } : null;
  }

  private restore(focus: { path: string; start: number | null; value: string } | null): void {
    if (!focus) return;
    const found = every<HTMLInputElement>("[data-path], [data-block]", this.host).find((each) => (each.dataset["path"] ?? each.dataset["block"]) === focus.path) ?? (focus.path.startsWith("nc-act") ? find<HTMLInputElement>(`#${CSS.escape(focus.path)}`, this.host) : null);
    if (!found) return;
    found.focus({ preventScroll: true });
    if (focus.start !== null && found.value === focus.value && "setSelectionRange" in found && found.type !== "number") try { found.setSelectionRange(focus.start, focus.start); } catch { /* not a text */ }
  }

  private navigation(): HTMLElement[] {
    const made: HTMLElement[] = [];
    if (this.found.values.length > 1) {
      const choose = make("select", { "aria-label": words.which_flow, "data-path": "part" }, ...this.found.values.map((each, index) => make("option", { value: index, selected: index === this.part }, String((each as { id?: unknown } | null)?.id ?? index + 1))));
      choose.addEventListener("change", () => { this.part = Number(choose.value); this.selected = FLOW; this.soon(0); });
      made.push(choose);
    }
    made.push(this.entry(FLOW, words.flow, "", false));
    for (const each of this.lists) made.push(this.section(each));
    return made;
  }

  private entry(key: string, name: string, type: string, disabled: boolean): HTMLElement {
    const made = make("button", { type: "button", class: `nc-entry${disabled ? " off" : ""}`, "aria-current": key === this.selected ? "true" : null, "data-block": key }, make("b", {}, name || "?"), type ? make("small", {}, type) : null, disabled ? make("small", { class: "label" }, words.disabled) : null);
    made.addEventListener("click", () => this.choose(key));
    return made;
  }

  private choose(key: string): void {
    this.selected = key;
    this.body.scrollTop = 0;
    this.draw();
    find<HTMLElement>("h2", this.body)?.focus({ preventScroll: true });
    if (window.matchMedia("(max-width: 720px)").matches) this.body.scrollIntoView();
  }

  private section(list: List): HTMLElement {
    const name = (words as Record<string, string>)[`list_${list.name}`] ?? list.name;
    return make("section", { class: "nc-list-of" }, make("div", { class: "nc-list-head" }, make("h3", {}, name), this.adder(list, name)), this.blocks(list));
  }

  private adder(list: List, name: string): HTMLElement | null {
    if (this.options.readOnly) return null;
    const made = make("button", { type: "button", class: "nc-tool", "aria-label": fill(words.add_to, { name }), title: fill(words.add_to, { name }), "data-block": `+${keyOf(list.path)}` }, "+");
    made.addEventListener("click", () => void this.add(list));
    return made;
  }

  private blocks(list: List): HTMLElement {
    return make("ol", {}, ...list.blocks.map((each) => {
      const type = each.type.split(".").slice(-2).join(".");
      return make("li", {}, this.entry(keyOf(each.path), each.id || type, each.id ? type : "", each.disabled),
        ...each.lists.filter((inner) => inner.blocks.length || !["errors", "finally"].includes(inner.name)).map((inner) => make("div", { class: "nc-inside" }, make("div", { class: "nc-list-head" }, make("h4", {}, inner.name), this.adder(inner, `${each.id} ${inner.name}`)), this.blocks(inner))));
    }));
  }

  private ofFlow(): HTMLElement[] {
    const value = this.found.values[this.part];
    const map = typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
    this.form.type = "";
    return [make("h2", { tabindex: "-1" }, words.flow), ...fieldsOf(this.form, [], map, [this.language!.root], new Set(this.lists.map((each) => each.name).filter((name) => map[name] === undefined || map[name] === null || Array.isArray(map[name]))))];
  }

  private ofBlock(block: Block): HTMLElement[] {
    const language = this.language!;
    const value = valueAt(this.found.values[this.part], block.form);
    const map = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
    const kind: Kind | null = block.kind === "output" || block.kind === "default" ? null : block.kind;
    this.form.type = block.type;
    const schema = kind ? (block.type ? language.ofType(kind, block.type) : null) : (language.flat(language.root.properties?.[block.kind === "output" ? "outputs" : "pluginDefaults"]?.items ?? {})[0] ?? null);
    const made: HTMLElement[] = [make("h2", { tabindex: "-1" }, block.id || block.type || "?"), this.actions(block)];
    if (kind) made.push(this.typeLine(block, kind, map, schema?.description ?? ""));
    const alias = aliasAt(this.found.documents[this.part], block.form);
    if (alias !== null) return [...made, make("p", { class: "dim" }, fill(words.alias, { name: alias }))];
    if (typeof value !== "object" || value === null || Array.isArray(value)) return [...made, field(this.form, block.form, words.item, { description: words.no_map }, value, true, true)];
    if (block.form.length > block.path.length) {
      const holder = valueAt(this.found.values[this.part], block.path) as Record<string, unknown>;
      const item = language.flat({ $ref: "#/definitions/DagTask" });
      made.push(...fieldsOf(this.form, block.path, holder, item, new Set(["task"])));
    }
    made.push(...fieldsOf(this.form, block.form, map, schema ? [schema] : [], new Set(kind ? ["type"] : [])));
    const inner = block.kind === "task" ? innerLists(map, block.form, block.type, language) : [];
    const adders = make("div", { class: "nc-actions" });
    for (const each of inner.filter((one) => !one.blocks.length)) {
      if (this.options.readOnly) continue;
      const add = make("button", { type: "button", class: "button small" }, fill(words.add_to, { name: each.name }));
      add.addEventListener("click", () => void this.add(each));
      adders.append(add);
    }
    if (adders.childElementCount) made.push(adders);
    return made;
  }

  private typeLine(block: Block, kind: Kind, map: Record<string, unknown>, about: string): HTMLElement {
    const link = block.type ? make("a", { href: `/plugins/${encodeURIComponent(block.type)}`, target: "_blank" }, words.docs) : null;
    const swap = this.options.readOnly ? null : make("button", { type: "button", class: "button small", id: "nc-act-type" }, words.change_type);
    swap?.addEventListener("click", () => void chooseType(this.language!, kind).then((type) => {
      if (!type) return;
      this.form.set([...block.form, "type"], block.type.startsWith("io.") ? type.full : type.short);
      this.soon(0);
    }));
    return make("div", { class: "nc-type-line" }, make("code", {}, block.type || String(map["type"] ?? words.not_set)), link, swap, make("p", { class: "dim" }, ...prose(about.split("\n\n")[0] ?? "")));
  }

  private actions(block: Block): HTMLElement {
    const list = block.path.slice(0, -1);
    const index = block.path[block.path.length - 1] as number;
    const length = (valueAt(this.found.values[this.part], list) as unknown[] | undefined)?.length ?? 0;
    const text = make("button", { type: "button", class: "button small", id: "nc-act-text" }, words.to_text);
    text.addEventListener("click", () => {
      const root = outline(this.view.state.doc.toString().split("\n"))[this.part]?.root;
      this.options.toText((root && at(root, block.path)?.line) ?? 0);
    });
    if (this.options.readOnly) return make("div", { class: "nc-actions" }, text);
    const act = (key: string, name: string, how: () => Step[] | null, off = false): HTMLElement => {
      const made = make("button", { type: "button", class: "button small", id: `nc-act-${key}`, disabled: off }, name);
      made.addEventListener("click", () => { const next = how(); if (next !== null) this.selected = next.length ? keyOf(next) : FLOW; this.draw(); this.announce(name, block); });
      return made;
    };
    const move = (to: number): Step[] | null => (this.change((before) => moveTo(before, this.part, block.path, list, to)) ? [...list, to] : null);
    const made = [
      act("up", words.up, () => move(index - 1), index === 0), act("down", words.down, () => move(index + 1), index >= length - 1),
      act("copy", words.duplicate, () => {
        const taken = takenIds(this.lists);
        return this.change((before) => duplicate(before, this.part, block.path, (id) => { const fresh = freshId(id, taken); taken.add(fresh); return fresh; })) ? [...list, index + 1] : null;
      }),
    ];
    if (block.kind === "task" || block.kind === "trigger") {
      made.push(act("off", block.disabled ? words.enable : words.disable, () => { this.form.set([...block.form, "disabled"], block.disabled ? undefined : true); return null; }));
    }
    made.push(act("remove", words.remove, () => (this.change((before) => removeAt(before, this.part, block.path)) ? [] : null)));
    const into = block.kind === "task" && block.form.length === block.path.length ? this.mover(block) : null;
    return make("div", { class: "nc-actions" }, ...made, into, text);
  }

  private mover(block: Block): HTMLElement | null {
    const own = keyOf(block.path.slice(0, -1));
    const found = targets(this.lists, block.path).filter((each) => keyOf(each.path) !== own);
    if (!found.length) return null;
    const nameOf = (each: List): string => {
      const holder = allBlocks(this.lists).find((one) => one.lists.some((inner) => keyOf(inner.path) === keyOf(each.path)));
      return holder ? `${holder.id} › ${each.name}` : ((words as Record<string, string>)[`list_${each.name}`] ?? each.name);
    };
    const made = make("select", { "aria-label": fill(words.move_into, { name: block.id }), id: "nc-act-into" }, make("option", { value: "" }, words.move), ...found.map((each, place) => make("option", { value: place }, nameOf(each))));
    made.addEventListener("change", () => {
      const target = found[Number(made.value)];
      if (!target || made.value === "") return;
      if (this.change((before) => moveTo(before, this.part, block.path, target.path, target.blocks.length))) {
        this.selected = keyOf(allBlocks(this.lists).find((each) => each.id === block.id && each.kind === "task")?.path ?? []);
        this.announce(words.move, block);
      }
      this.draw();
    });
    return made;
  }

  private announce(what: string, block: Block): void {
    const place = find("#nc-said") ?? make("p", { id: "nc-said", class: "hidden", role: "status" });
    if (!place.isConnected) this.host.after(place);
    place.textContent = `${what}: ${block.id}`;
  }

  private async add(list: List): Promise<void> {
    if (list.kind === "output" || list.kind === "default") {
      const value = list.kind === "output" ? { id: freshId("output", takenIds(this.lists)), type: "STRING", value: "" } : { type: "", values: {} };
      if (this.change((text) => insertAt(text, this.part, list.path, list.blocks.length, value))) this.choose(keyOf([...list.path, list.blocks.length]));
      return;
    }
    const type = await chooseType(this.language!, list.kind);
    if (!type || this.gone) return;
    const made = newBlock(type, takenIds(this.lists), this.language!);
    const value = list.within ? { [list.within]: made } : made;
    if (!this.change((text) => insertAt(text, this.part, list.path, list.blocks.length, value))) return;
    this.choose(keyOf([...list.path, list.blocks.length]));
    find<HTMLInputElement>(`[data-path="${CSS.escape(keyOf([...list.path, list.blocks.length, ...(list.within ? [list.within] : []), "id"]))}"]`, this.body)?.focus();
  }
}
