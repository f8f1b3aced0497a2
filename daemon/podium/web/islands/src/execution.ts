// The page of an execution: its stream, the clock of what still runs, the expression box, the live topology.
import { execution as words } from "../../strings.json";
import { copy, every, find, make } from "./lib/dom";
import { address, connect, onRows, rows, tab } from "./lib/execution/stream";
import { drawTopology, type Graph, type State } from "./lib/topology";

if (tab !== "logs") setTimeout(connect, 0); // the log's own script opens it where its lines end

// ---- how long it has been running
function length(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
setInterval(() => {
  if (document.hidden) return;
  for (const each of every("[data-since]")) {
    const then = Date.parse(each.dataset.since ?? "");
    if (!Number.isNaN(then)) each.textContent = length(Math.max(0, Date.now() - then));
  }
}, 1000);

// ---- topology
const host = find("#topology-host");
const graphText = find("#topology-graph")?.textContent;
if (host && graphText) {
  const graph = JSON.parse(graphText) as Graph;
  const drawn = drawTopology(host, graph, {
    name: "execution",
    onSelect: (id) => {
      const run = id ? [...rows.values()].reverse().find((each) => each[1] === id) : undefined;
      const chosen = find("#topology-chosen");
      if (!chosen) return;
      chosen.replaceChildren(...(run ? [make("a", { href: `${address}?tab=logs&taskRunId=${encodeURIComponent(run[0])}` }, `${words.log}: ${run[1]}`)] : []));
    },
  });
  host.after(make("p", { class: "pad", id: "topology-chosen" }));
  const weight = ["FAILED", "KILLED", "PAUSED", "RUNNING", "RETRYING", "WARNING", "QUEUED", "CREATED", "SUCCESS", "SKIPPED"];
  onRows(() => {
    const states = new Map<string, State>();
    for (const [id, task, , , , state] of rows.values()) {
      const known = states.get(task) ?? { state, counts: {}, taskRunId: id };
      known.counts[state] = (known.counts[state] ?? 0) + 1;
      if (weight.indexOf(state) < weight.indexOf(known.state) || known.counts[state] === 1 && known.state === state) { known.state = state; known.taskRunId = id; }
      states.set(task, known);
    }
    drawn.setStates(states);
  });
}

// ---- the expression box
interface Names { names: string[]; functions: string[] }

function expressionBox(): void {
  const form = find<HTMLFormElement>("form[data-eval]");
  const box = find<HTMLTextAreaElement>("#expression");
  const told = find("#tried");
  if (!form || !box || !told || form.dataset.ready) return;
  form.dataset.ready = "1";
  const known = JSON.parse(find("#expression-names")?.textContent ?? '{"names":[],"functions":[]}') as Names;
  const list = make("ul", { class: "completions", role: "listbox", id: "completions", hidden: true });
  box.after(list);
  for (const [key, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-controls": "completions", "aria-expanded": "false" })) box.setAttribute(key, value);
  let at = -1;
  let turn = 0;

  async function evaluate(): Promise<void> {
    const mine = ++turn;
    const run = new FormData(form!).get("_run");
    told!.replaceChildren(make("p", { class: "dim" }, words.evaluating));
    const answer = await fetch(form!.dataset.eval! + (typeof run === "string" && run ? `/${encodeURIComponent(run)}` : ""), {
      method: "POST", headers: { "Content-Type": "text/plain", Accept: "application/json" }, body: box!.value, credentials: "same-origin",
    });
    const found = (await answer.json()) as { result?: string; error?: string; stackTrace?: string; message?: string };
    if (mine !== turn) return;
    if (found.result !== undefined) {
      const button = make("button", { type: "button", class: "button small" }, words.copy_result);
      button.addEventListener("click", () => void copy(found.result ?? ""));
      told!.replaceChildren(make("pre", { class: "code pad", tabindex: "0" }, pretty(found.result) || words.empty_result), button);
    } else {
      told!.replaceChildren(make("p", { class: "error-text" }, found.error ?? found.message ?? ""), ...(found.stackTrace ? [make("pre", { class: "code pad" }, found.stackTrace)] : []));
    }
  }
  function pretty(text: string): string {
    if (!/^\s*[[{]/.test(text)) return text;
    try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
  }

  const word = (): string => /[\w.'[\]-]*$/.exec(box.value.slice(0, box.selectionStart))?.[0] ?? "";
  function complete(): void {
    const typed = word();
    const inside = /\{[{%](?:(?!\}\}|%\}).)*$/s.test(box!.value.slice(0, box!.selectionStart));
    const low = typed.toLowerCase();
    const all = [...known.names, ...known.functions.map((each) => `${each}()`)];
    const found = inside && typed ? all.filter((each) => each.toLowerCase().startsWith(low) && each !== typed).slice(0, 12) : [];
    at = found.length ? 0 : -1;
    list.replaceChildren(...found.map((each, index) => make("li", { role: "option", id: `completion-${index}`, "aria-selected": index === 0 }, each)));
    list.hidden = !found.length;
    box!.setAttribute("aria-expanded", String(found.length > 0));
    mark();
  }
  function mark(): void {
    every("li", list).forEach((each, index) => each.setAttribute("aria-selected", String(index === at)));
    if (at >= 0) box!.setAttribute("aria-activedescendant", `completion-${at}`); else box!.removeAttribute("aria-activedescendant");
  }
  function take(index: number): void {
    const text = list.children[index]?.textContent;
    if (!text) return;
    const end = box!.selectionStart;
    const begin = end - word().length;
    box!.setRangeText(text, begin, end, "end");
    if (text.endsWith("()")) box!.selectionStart = box!.selectionEnd = box!.selectionEnd - 1;
    list.hidden = true;
    complete();
  }
  box.addEventListener("input", complete);
  box.addEventListener("blur", () => setTimeout(() => { if (document.activeElement !== box) list.hidden = true; }, 150));
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); void evaluate(); return; }
    if (list.hidden) return;
    const many = list.childElementCount;
    if (event.key === "ArrowDown") at = (at + 1) % many;
    else if (event.key === "ArrowUp") at = (at - 1 + many) % many;
    else if (event.key === "Enter" || event.key === "Tab") { event.preventDefault(); take(at); return; }
    else if (event.key === "Escape") { list.hidden = true; event.stopPropagation(); return; }
    else return;
    event.preventDefault();
    mark();
  });
  list.addEventListener("pointerdown", (event) => {
    const item = (event.target as Element).closest("li");
    if (item) { event.preventDefault(); take([...list.children].indexOf(item)); }
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); void evaluate(); });
}
expressionBox();
document.addEventListener("podium:shown", () => expressionBox());
