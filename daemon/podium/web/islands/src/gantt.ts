// The Gantt of an execution: thousands of task runs, of which only the rows in view are there. Live by the page's stream. Groups fold; time zooms; each
// attempt is a bar of its own, waiting is hatched. A tree grid for keyboards and screen readers.
import { execution as words } from "../../strings.json";
import { badge, fill, find, keep, kept, make, stateWord } from "./lib/dom";
import { address, ended, onEnd, onRows, rows, type Row } from "./lib/execution/stream";
import { RowWindow } from "./lib/execution/window";
import { onClock } from "./lib/time";

interface Node { row: Row; depth: number; children: Node[]; open: boolean }

const HEIGHT = 30;
const FAILED = new Set(["FAILED", "KILLED"]);
const section = find("#runs[data-gantt]");
if (section) start(section);

function span(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function start(section: HTMLElement): void {
  const can = new Set((section.dataset.can ?? "").split(" "));
  const settable = (section.dataset.states ?? "").split(" ");
  const closed = new Set<string>();
  let shown: Node[] = [];
  let active = -1;
  let chosen = location.hash.startsWith("#run-") ? location.hash.slice(5) : "";
  let onlyFailed = kept("podium-gantt-failed", false);
  let from = 0;
  let to = 1;
  let zoom = 1;
  let offset = 0; // how far the zoomed part begins, from 0 to 1 - 1/zoom
  let whole: Node[] = [];

  const button = (text: string, label: string, act: () => void): HTMLButtonElement => {
    const made = make("button", { type: "button", class: "button small", "aria-label": label, title: label }, text);
    made.addEventListener("click", act);
    return made;
  };
  const count = make("span", { class: "dim", role: "status" });
  const failedOnly = make("input", { type: "checkbox", checked: onlyFailed, autocomplete: "off" });
  failedOnly.addEventListener("change", () => { onlyFailed = failedOnly.checked; keep("podium-gantt-failed", onlyFailed); update(); });
  const slide = make("input", { type: "range", min: 0, max: 1000, value: 0, hidden: true, "aria-label": words.when });
  slide.addEventListener("input", () => { offset = (Number(slide.value) / 1000) * (1 - 1 / zoom); paint(); });
  const bar = make(
    "div", { class: "bar-top gantt-bar" }, count, make("label", { class: "choice" }, failedOnly, words.only_failed),
    make("span", { class: "buttons" }, button("⊟", words.fold_all, () => foldAll(true)), button("⊞", words.unfold_all, () => foldAll(false))),
    make("span", { class: "buttons" }, button("−", words.zoom_out, () => zoomTo(zoom / 2, 0.5)), button("+", words.zoom_in, () => zoomTo(zoom * 2, 0.5)), button("⤢", words.zoom_all, () => zoomTo(1, 0))),
    slide,
  );
  const ticks = make("div", { class: "ticks", "aria-hidden": "true" });
  const head = make("div", { class: "gantt-head" }, make("span", {}, words.task), ticks, make("span", { class: "num" }, words.took_head), make("span", {}, words.state));
  const host = make("div", { class: "gantt-rows", role: "treegrid", tabindex: 0, "aria-label": `${words.tab_gantt}. ${words.gantt_keys}` });
  const detail = make("div", { class: "gantt-detail", "aria-live": "polite", hidden: true });
  const table = make("div", { class: "server-rows" }, ...section.childNodes);
  section.append(table);
  const window_ = new RowWindow(host, { count: () => shown.length, draw }, HEIGHT);
  let ready = false;

  function build(): void {
    const nodes = new Map<string, Node>();
    for (const row of rows.values()) nodes.set(row[0], { row, depth: 0, children: [], open: !closed.has(row[0]) });
    whole = [];
    for (const node of nodes.values()) {
      const parent = node.row[2] ? nodes.get(node.row[2]) : undefined;
      if (parent && parent !== node) parent.children.push(node); else whole.push(node);
    }
    const order = (one: Node, other: Node): number => (one.row[6] ?? 0) - (other.row[6] ?? 0);
    whole.sort(order);
    const seen = new Set<Node>();
    shown = [];
    const walk = (list: Node[], depth: number, visible: boolean): void => {
      for (const node of list) {
        if (seen.has(node)) continue;
        seen.add(node);
        node.depth = depth;
        if (visible && (!onlyFailed || FAILED.has(node.row[5]))) shown.push(node);
        if (node.children.length) walk(node.children.sort(order), depth + 1, visible && (node.open || onlyFailed));
      }
    };
    walk(whole, 0, true);
    for (const node of nodes.values()) if (!seen.has(node)) walk([node], 0, true); // parents in a ring
    const now = Date.now();
    from = Infinity;
    to = -Infinity;
    for (const { row } of nodes.values()) {
      from = Math.min(from, row[6] ?? now);
      to = Math.max(to, row[8] ?? (ended ? row[7] ?? row[6] ?? from : now));
    }
    if (!Number.isFinite(from)) { from = now; to = now + 1; }
    to = Math.max(to, from + 1);
  }

  const position = (moment: number): number => ((moment - from) / (to - from) - offset) * zoom * 100;
  function stretch(lane: HTMLElement, name: string, begin: number, end: number, title: string): void {
    const left = Math.max(-1, position(begin));
    const right = Math.min(101, position(end));
    if (right < 0 || left > 100) return;
    const made = make("i", { class: name, title });
    made.style.left = `${left}%`;
    made.style.width = `max(${name === "queued" ? 1 : 3}px, ${Math.max(0, right - left)}%)`;
    lane.append(made);
  }

  function draw(element: HTMLElement, index: number): void {
    const node = shown[index];
    if (!node) { element.replaceChildren(); return; }
    const [id, task, , value, iteration, state, created, began, finished, attempts] = node.row;
    const end = finished ?? (ended ? began ?? created ?? from : Date.now());
    const name = value !== null ? `${task} [${value}]` : iteration !== null ? `${task} #${iteration}` : task;
    const queued = created !== null && began !== null ? began - created : 0;
    const ran = began !== null ? end - began : 0;
    element.className = `gantt-row${index === active ? " active" : ""}${id === chosen ? " chosen" : ""}`;
    element.id = `run-${id}`;
    for (const [key, text] of Object.entries({ role: "row", "aria-rowindex": index + 1, "aria-level": node.depth + 1, "aria-selected": id === chosen })) element.setAttribute(key, String(text));
    if (node.children.length) element.setAttribute("aria-expanded", String(node.open)); else element.removeAttribute("aria-expanded");
    const fold = make("button", { type: "button", class: `fold${node.children.length ? "" : " none"}`, tabindex: -1, "aria-label": fill(node.open ? words.fold : words.unfold, { name }), disabled: !node.children.length }, node.open ? "▾" : "▸");
    fold.dataset.fold = id;
    const first = make("span", { class: "name", role: "gridcell", title: name }, fold, make("b", {}, task), ...(value !== null ? [make("small", { class: "value" }, value)] : iteration !== null ? [make("small", { class: "value" }, `#${iteration}`)] : []));
    first.style.paddingInlineStart = `${Math.min(node.depth, 12) * 16}px`;
    const lane = make("span", { class: "lane", role: "gridcell", "aria-label": fill(words.run_about, { task: name, state: stateWord(state), queued: fill(words.queued_for, { time: span(queued) }), ran: fill(words.ran_for, { time: span(ran) }) }) });
    if (created !== null && (began ?? end) > created) stretch(lane, "queued", created, began ?? end, fill(words.queued_for, { time: span((began ?? end) - created) }));
    if (attempts.length > 1) {
      attempts.forEach(([attemptState, start, stop], number) => {
        if (start !== null) stretch(lane, `run b-${attemptState}`, start, stop ?? end, `${fill(words.attempt_n, { n: number + 1 })}: ${stateWord(attemptState)}, ${span((stop ?? end) - start)}`);
      });
    } else if (began !== null) stretch(lane, `run b-${state}`, began, end, `${stateWord(state)}, ${span(ran)}`);
    const took = make("span", { class: "num", role: "gridcell" }, created === null ? "" : span(end - created));
    const last = make("span", { role: "gridcell" }, badge(state), ...(attempts.length > 1 ? [make("small", { class: "dim" }, ` ×${attempts.length}`)] : []));
    element.replaceChildren(first, lane, took, last);
  }

  function drawTicks(): void {
    const width = (to - from) / zoom;
    const begin = from + offset * (to - from);
    ticks.replaceChildren(...[0, 0.25, 0.5, 0.75, 1].map((part) => {
      const made = make("span", {}, part === 0 ? onClock(begin).slice(11) : `+${span(begin - from + width * part)}`);
      made.style.left = `${part * 100}%`;
      return made;
    }));
  }

  function paint(): void {
    drawTicks();
    window_.refresh();
  }

  function zoomTo(wanted: number, centre: number): void {
    const before = offset + centre / zoom;
    zoom = Math.min(4096, Math.max(1, wanted));
    offset = Math.min(1 - 1 / zoom, Math.max(0, before - centre / zoom));
    slide.hidden = zoom === 1;
    slide.value = String(zoom === 1 ? 0 : Math.round((offset / (1 - 1 / zoom)) * 1000));
    paint();
  }

  function foldAll(close: boolean): void {
    closed.clear();
    if (close) for (const node of allNodes()) if (node.children.length) closed.add(node.row[0]);
    update();
  }
  function* allNodes(list: Node[] = whole): Generator<Node> {
    for (const node of list) { yield node; yield* allNodes(node.children); }
  }
  function toggle(id: string): void {
    if (!closed.delete(id)) closed.add(id);
    update();
  }

  function select(index: number): void {
    active = Math.max(0, Math.min(shown.length - 1, index));
    window_.reveal(active);
    const node = shown[active];
    if (node) host.setAttribute("aria-activedescendant", `run-${node.row[0]}`);
  }
  function open(id: string): void {
    chosen = chosen === id ? "" : id;
    history.replaceState(null, "", chosen ? `#run-${chosen}` : location.pathname + location.search);
    showDetail();
    window_.refresh();
  }

  function showDetail(): void {
    const row = rows.get(chosen);
    detail.hidden = !row;
    if (!row) return;
    const [id, task, , value, , state, created, began, finished, attempts] = row;
    const close = make("button", { type: "button", class: "icon", "aria-label": words.close }, "×");
    close.addEventListener("click", () => open(id));
    const facts = make(
      "p", { class: "facts" }, make("span", { class: "mono" }, id), ...(created !== null ? [make("span", {}, `${words.started} ${onClock(created)}`)] : []),
      ...(created !== null && began !== null ? [make("span", {}, fill(words.queued_for, { time: span(began - created) }))] : []),
      ...(began !== null ? [make("span", {}, fill(words.ran_for, { time: span((finished ?? Date.now()) - began) }))] : []),
    );
    const told = Object.entries(attempts[attempts.length - 1]?.[4] ?? {});
    if (told.length) facts.append(...told.map(([key, text]) => make("span", {}, `${key} `, make("span", { class: "mono" }, text))));
    const links = make("p", { class: "buttons" }, make("a", { class: "button small", href: `${address}?tab=logs&taskRunId=${encodeURIComponent(id)}` }, words.log));
    if (can.has("replay")) links.append(make("a", { class: "button small", href: `${address}/replay?taskRunId=${encodeURIComponent(id)}` }, words.replay_here));
    const tries = attempts.map(([attemptState, start, stop, error], number) => make(
      "li", {}, `${fill(words.attempt_n, { n: number + 1 })} `, badge(attemptState), ` ${start !== null ? span((stop ?? Date.now()) - start) : ""} `, error ? make("code", { class: "error-text" }, error) : null,
    ));
    const parts: HTMLElement[] = [make("div", { class: "card-head" }, make("h2", {}, value !== null ? `${task} [${value}]` : task), badge(state), close), facts];
    if (tries.length > 1 || attempts.some((each) => each[3])) parts.push(make("ul", { class: "attempts" }, ...tries));
    parts.push(links);
    if (can.has("state")) {
      const select = make("select", { name: "_state", "aria-label": words.set_run }, ...settable.filter((each) => each !== state).map((each) => make("option", { value: each }, stateWord(each))));
      parts.push(make(
        "form", { method: "post", action: `${address}/state`, class: "buttons" }, make("input", { type: "hidden", name: "_taskRunId", value: id }), make("input", { type: "hidden", name: "_tab", value: "gantt" }),
        make("label", {}, `${words.set_run} `, select), make("button", { class: "button small" }, words.change_state), make("small", { class: "dim" }, words.set_run_about),
      ));
    }
    detail.replaceChildren(...parts);
  }

  host.addEventListener("click", (event) => {
    const target = event.target as Element;
    const fold = target.closest<HTMLElement>("[data-fold]");
    if (fold) { toggle(fold.dataset.fold ?? ""); return; }
    const row = target.closest(".gantt-row");
    if (row) { active = shown.findIndex((each) => `run-${each.row[0]}` === row.id); open(row.id.slice(4)); }
  });
  host.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const lane = host.querySelector(".lane")?.getBoundingClientRect();
    zoomTo(zoom * (event.deltaY < 0 ? 1.4 : 1 / 1.4), lane ? Math.min(1, Math.max(0, (event.clientX - lane.left) / lane.width)) : 0.5);
  }, { passive: false });
  host.addEventListener("keydown", (event) => {
    const node = shown[active];
    const page = Math.max(1, Math.floor(host.clientHeight / HEIGHT) - 1);
    const moves: Record<string, number> = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: shown.length - 1 };
    if (event.key in moves) select(moves[event.key]!);
    else if (event.key === "ArrowRight" && node?.children.length && !node.open) toggle(node.row[0]);
    else if (event.key === "ArrowLeft" && node?.children.length && node.open) toggle(node.row[0]);
    else if ((event.key === "Enter" || event.key === " ") && node) open(node.row[0]);
    else if (event.key === "+") zoomTo(zoom * 2, 0.5);
    else if (event.key === "-") zoomTo(zoom / 2, 0.5);
    else return;
    event.preventDefault();
  });

  function update(): void {
    if (!rows.size) return;
    build();
    if (!ready) {
      ready = true;
      table.remove();
      section.append(bar, head, host, detail);
      section.classList.add("drawn");
    }
    host.setAttribute("aria-rowcount", String(shown.length));
    count.textContent = fill(words.runs_count, { n: rows.size.toLocaleString("en") });
    host.style.setProperty("--rows", String(Math.min(shown.length, 24)));
    paint();
    if (chosen) showDetail();
  }
  let revealed = false;
  onRows(() => {
    update();
    if (chosen && !revealed) {
      const index = shown.findIndex((each) => each.row[0] === chosen);
      if (index >= 0) { revealed = true; select(index); }
    }
  });
  onEnd(update);
  setInterval(() => { if (!ended && ready && !document.hidden) { build(); paint(); } }, 1000);
}

