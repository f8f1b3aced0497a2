// What changes, as it changes. One stream for all tabs of a browser (a shared worker; without one, a stream a tab), and the parts of the page that are
// fetched anew when something changed: elements with data-part and an id. They are morphed: focus, selection, open menus and scroll survive.
// A page about one execution says so: <… data-execution="id" data-address="/executions/id">; then only its changes count.
import htmx from "htmx.org";
import { every, find } from "./dom";
import { showTimes } from "./time";

export interface Change { seq?: number; kind: string; executionId?: string; namespace?: string; flowId?: string; state?: string }
/** What the worker tells the pages. */
export type News = { kind: "changes"; changes: Change[] } | { kind: "reset" } | { kind: "up" } | { kind: "down" };

type Listener = (changes: Change[] | null) => void;
type Morph = (old: Element, fresh: Element, inner: boolean) => void;

const listeners = new Set<Listener>();
const QUIET_MS = 500;
let morph: Morph | null = null;

htmx.registerExtension("podium", {
  init: (internals: { morph: Morph }) => { morph = internals.morph; },
  // What a person opened stays open; what a script showed is shown again by `enhance`.
  htmx_before_morph_attr: (element: Element, detail: { attrName: string }) =>
    !(detail.attrName === "open" && element.matches("details, dialog")) && !(detail.attrName === "checked" && element.matches("[data-mark]")),
});

/** Call with each batch of changes, or null when anything may have changed. A function that stops it. */
export function onChange(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Make `old` look like `fresh` inside, keeping what a person does there. */
export function morphInto(old: Element, fresh: Element): void {
  if (morph) morph(old, fresh, true);
  else old.replaceChildren(...fresh.childNodes);
}

function told(news: News): void {
  if (news.kind === "changes") listeners.forEach((each) => each(news.changes));
  else if (news.kind === "reset") listeners.forEach((each) => each(null));
  const lost = find("#offline");
  if (lost && news.kind !== "reset") lost.hidden = news.kind !== "down";
}

function connect(): void {
  const address = document.body.dataset.worker;
  if (typeof SharedWorker === "function" && address) {
    const worker = new SharedWorker(address, { type: "module", name: "podium-live" });
    const say = (word: "here" | "away" | "bye"): void => worker.port.postMessage(word);
    worker.port.onmessage = (event: MessageEvent<News>) => told(event.data);
    worker.port.start();
    say(document.hidden ? "away" : "here");
    document.addEventListener("visibilitychange", () => say(document.hidden ? "away" : "here"));
    addEventListener("pagehide", () => say("bye"));
    addEventListener("pageshow", (event) => { if (event.persisted) say("here"); });
    setInterval(() => { if (!document.hidden) say("here"); }, 30_000);
    return;
  }
  let source: EventSource | null = null;
  const listen = (): void => {
    if (source || document.hidden) return;
    source = new EventSource("/api/v1/events?paceMs=250");
    source.onopen = () => { told({ kind: "up" }); told({ kind: "reset" }); };
    source.onerror = () => told({ kind: "down" });
    source.onmessage = (event: MessageEvent<string>) => told({ kind: "changes", changes: JSON.parse(event.data) as Change[] });
    source.addEventListener("reset", () => told({ kind: "reset" }));
  };
  const mute = (): void => { source?.close(); source = null; };
  document.addEventListener("visibilitychange", () => { if (document.hidden) mute(); else { listen(); told({ kind: "reset" }); } });
  addEventListener("pagehide", mute);
  listen();
}

/** Fetches this page and morphs the parts that differ. enhance: called with each part that was. */
export class Parts {
  #shown = new WeakMap<Element, string>();
  #timer = 0;
  #fetching = false;
  #again = false;
  readonly #enhance: (part: Element) => void;
  readonly #marker = find("[data-execution]");

  constructor(enhance: (part: Element) => void) {
    this.#enhance = enhance;
  }

  /** Soon; many calls are one. */
  later(): void {
    this.#timer ||= window.setTimeout(() => { this.#timer = 0; void this.now(); }, QUIET_MS);
  }

  /** Whether a change is of what this page shows. */
  concerns(changes: Change[] | null): boolean {
    // A page with a stream of its own shows by itself what becomes of its execution; the rest of it can wait.
    if (this.#marker?.hasAttribute("data-own-stream")) return changes === null || changes.some((each) => each.kind === "flows");
    const only = this.#marker?.dataset.execution;
    return changes === null || !only || changes.some((each) => each.executionId === only);
  }

  async now(): Promise<void> {
    if (this.#fetching) { this.#again = true; return; }
    this.#fetching = true;
    try {
      const base = this.#marker?.dataset.address;
      const address = base ? base + location.search.replace(/^\?/, base.includes("?") ? "&" : "?") : location.href;
      const answer = await fetch(address, { headers: { Accept: "text/html", "Podium-Part": "1" }, credentials: "same-origin" });
      if (answer.ok && !answer.redirected) this.#show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch { /* the next change tries again */ }
    this.#fetching = false;
    if (this.#again) { this.#again = false; this.later(); }
  }

  #show(fresh: Document): void {
    for (const part of every("[data-part]")) {
      const next = part.id ? fresh.getElementById(part.id) : null;
      if (!next || part.parentElement?.closest("[data-part]")) continue;
      const html = next.innerHTML;
      if (this.#shown.get(part) === html) continue;
      const before = new Set(every("[data-row]", part).map((row) => row.dataset.row));
      morphInto(part, document.adoptNode(next));
      this.#shown.set(part, html);
      if (before.size) every("[data-row]", part).forEach((row) => row.classList.toggle("new", !before.has(row.dataset.row)));
      this.#enhance(part);
      showTimes(part);
      part.dispatchEvent(new CustomEvent("podium:part", { bubbles: true }));
    }
    document.title = fresh.title;
    // A form to resume with came or went, or the log grows again: these are not replaced part by part.
    const changed = (selector: string): boolean => (find(selector) === null) !== (find(selector, fresh) === null);
    if (this.#marker && (changed("form.run") || (find("#log-lines[data-log]", fresh) && !find("#log-lines[data-log]")))) location.reload();
  }
}

/** Follow what changes and keep the parts of this page fresh. */
export function goLive(enhance: (part: Element) => void): Parts {
  const parts = new Parts(enhance);
  connect();
  // The page of an error would only be the same error again.
  if (find("[data-part]") && !find("[data-no-live]") && !/[?&](page=(?!1(&|$))|after=.)/.test(location.search)) {
    onChange((changes) => { if (!document.hidden && parts.concerns(changes)) parts.later(); });
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden && !find("[data-no-live]")) parts.later(); });
  return parts;
}
