// The stream of an execution's page: pieces of the page, task runs, log lines. One a tab. After its end it is opened again when the shell hears that
// the execution goes on. What always holds: who listens late gets what is known.
import { find } from "../dom";
import { morphInto, onChange } from "../live";

export type Attempt = [state: string, began: number | null, ended: number | null, error: string, facts: Record<string, string>];
export type Row = [
  id: string, task: string, parent: string | null, value: string | null, iteration: number | null, state: string,
  created: number | null, began: number | null, ended: number | null, attempts: Attempt[],
];
export type Line = [seq: number, at: number | null, level: number, task: string, run: string, attempt: number, message: string];
interface Told { all: boolean; state: { current: string }; rows: Row[] }

const marker = find("#live");
export const address = marker?.dataset.address ?? "";
export const tab = marker?.dataset.tab ?? "";
export const rows = new Map<string, Row>();
/** Whether the execution ended, as far as this page knows. */
export let ended = marker?.hasAttribute("data-ended") ?? false;

const forRows = new Set<() => void>();
const forLines = new Set<(lines: Line[]) => void>();
const forEnd = new Set<() => void>();
let source: EventSource | null = null;
let last = 0;
let waiting: Line[] = [];

export function onRows(listener: () => void): void {
  forRows.add(listener);
  if (rows.size) listener();
}
export const onLines = (listener: (lines: Line[]) => void): void => { forLines.add(listener); };
export const onEnd = (listener: () => void): void => { forEnd.add(listener); };

function busy(part: Element): boolean {
  const active = document.activeElement;
  return part.querySelector("details.menu[open]") !== null || (active !== null && active.matches("input, textarea, select") && part.contains(active));
}

function show(id: string, html: string): void {
  const part = find(`#${CSS.escape(id)}`);
  if (!part) return;
  if (busy(part)) { // what somebody is about to do is not taken from under them
    part.addEventListener("focusout", () => setTimeout(() => show(id, html), 200), { once: true });
    return;
  }
  const holder = part.cloneNode(false) as Element;
  holder.innerHTML = html;
  morphInto(part, holder);
  part.dispatchEvent(new CustomEvent("podium:shown", { bubbles: true }));
}

function flush(): void {
  const lines = waiting;
  waiting = [];
  forLines.forEach((each) => each(lines));
}

/** Open the stream. after: the seq of the last log line that is known. */
export function connect(after = last): void {
  if (source || !address) return;
  last = after;
  const query = new URLSearchParams(location.search);
  query.set("tab", tab);
  query.set("afterSeq", String(last));
  source = new EventSource(`${address}/live?${query.toString()}`);
  source.addEventListener("part", (event: MessageEvent<string>) => {
    const { id, html } = JSON.parse(event.data) as { id: string; html: string };
    show(id, html);
  });
  source.addEventListener("runs", (event: MessageEvent<string>) => {
    const told = JSON.parse(event.data) as Told;
    if (told.all) rows.clear();
    for (const row of told.rows) rows.set(row[0], row);
    ended = ENDED.has(told.state.current);
    forRows.forEach((each) => each());
  });
  source.addEventListener("line", (event: MessageEvent<string>) => {
    const line = JSON.parse(event.data) as Line;
    last = line[0];
    if (waiting.push(line) === 1) queueMicrotask(() => requestIdle(flush));
  });
  source.addEventListener("end", () => {
    close();
    if (waiting.length) flush();
    ended = true;
    forEnd.forEach((each) => each());
  });
}

const requestIdle = (work: () => void): void => { if (document.hidden) setTimeout(work, 200); else requestAnimationFrame(work); };
const ENDED = new Set(["SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "SKIPPED", "RETRIED"]);

export function close(): void {
  source?.close();
  source = null;
}

addEventListener("pagehide", close);
addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
let again = 0;
onChange((changes) => {
  const id = marker?.dataset.execution;
  const ours = changes === null || changes.some((each) => each.executionId === id && each.kind === "execution");
  if (!source && ours && !again) again = window.setTimeout(() => { again = 0; connect(); }, 600);
});
