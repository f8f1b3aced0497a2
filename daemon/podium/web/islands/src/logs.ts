// The log of an execution: any number of lines, of which only those in view are there. Pages of a thousand lines are fetched by seq when they come
// into view; new lines come by the page's stream. Search, levels, tasks, wrapping, times, links to lines, following.
import { execution as words } from "../../strings.json";
import { api, copy, every, fill, find, keep, kept, make } from "./lib/dom";
import { bare, pieces } from "./lib/execution/ansi";
import { address, connect, onLines, type Line } from "./lib/execution/stream";
import { RowWindow } from "./lib/execution/window";

const LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"];
const EVERY = 1_000;
const PAGES_KEPT = 60;
const HEIGHT = 24;

const box = find("#log");
const list = find("#log-lines");
const tools = find("#log-tools");
if (box && list && tools) start(box, list, tools);

function start(box: HTMLElement, list: HTMLElement, tools: HTMLElement): void {
  const form = find<HTMLFormElement>("form", box)!;
  const only = { minLevel: box.dataset.level ?? "TRACE", taskId: box.dataset.task ?? "", taskRunId: box.dataset.run ?? "" };
  let bounds: number[] = [0];
  let total = 0;
  let newest = 0;
  const pages = new Map<number, Line[]>();
  const asked = new Set<number>();
  let following = !box.dataset.line && !location.hash.startsWith("#L");
  let matches: [number, number][] = [];
  let more = false;
  let current = -1;
  let wanted = box.dataset.q ?? "";
  let chosen = 0;
  let wrap = kept("podium-log-wrap", innerWidth < 700);
  let times = kept("podium-log-times", true);

  const query = (values: Record<string, string | number>): string => {
    const found = new URLSearchParams();
    for (const [key, value] of Object.entries({ ...only, ...values })) if (value !== "") found.set(key, String(value));
    return found.toString();
  };
  const lineAt = (index: number): Line | undefined => pages.get(Math.floor(index / EVERY))?.[index % EVERY];

  async function load(page: number): Promise<void> {
    if (pages.has(page) || asked.has(page) || page >= bounds.length) return;
    asked.add(page);
    try {
      const lines = await api<Line[]>("GET", `${address}/lines?${query({ after: bounds[page] ?? 0, limit: EVERY })}`);
      const known = pages.get(page) ?? [];
      const last = lines[lines.length - 1]?.[0] ?? 0;
      pages.set(page, [...lines, ...known.filter((each) => each[0] > last)].slice(0, EVERY));
      if (pages.size > PAGES_KEPT) {
        const here = Math.floor(window_.top / EVERY);
        const far = [...pages.keys()].sort((one, other) => Math.abs(other - here) - Math.abs(one - here))[0];
        if (far !== undefined && far !== bounds.length - 1) pages.delete(far);
      }
      window_.refresh();
    } finally {
      asked.delete(page);
    }
  }

  // ---- drawing
  list.classList.add("virtual");
  const window_ = new RowWindow(list, {
    count: () => total,
    draw,
    seen: (first, last) => { if (total) for (let page = Math.floor(first / EVERY); page <= Math.floor(Math.max(first, last - 1) / EVERY); page += 1) void load(page); },
  }, HEIGHT, "div");
  list.removeAttribute("aria-label");
  list.setAttribute("role", "log");
  list.setAttribute("aria-live", "off");
  list.setAttribute("aria-label", words.lines);

  function draw(element: HTMLElement, index: number): void {
    const line = lineAt(index);
    if (!line) {
      element.className = "line empty";
      element.replaceChildren(words.loading);
      return;
    }
    const [seq, at, level, task, , , message] = line;
    const hit = current >= 0 && matches[current]?.[1] === seq;
    element.className = `line l-${LEVELS[level] ?? "INFO"}${hit ? " hit" : ""}${seq === chosen ? " chosen" : ""}`;
    element.dataset.seq = String(seq);
    const moment = at === null ? "" : new Date(at).toISOString();
    const link = make("a", { class: "no", href: lineLink(seq), "aria-label": `${index + 1}: ${words.copy_line}`, title: words.copy_line }, String(index + 1));
    const text = make("code");
    for (const piece of pieces(wrap ? message : message.replace(/\n/g, " ↵ "))) marked(text, piece.text, piece.classes);
    element.replaceChildren(
      link, ...(times ? [make("time", { datetime: moment, "data-as": "is", title: moment }, moment.slice(11, 23))] : []),
      make("b", {}, LEVELS[level] ?? ""), make("span", { title: task }, task), text,
    );
  }

  function marked(into: HTMLElement, text: string, classes: string): void {
    const place = classes ? into.appendChild(make("span", { class: classes })) : into;
    const low = text.toLowerCase();
    const sought = wanted.toLowerCase();
    let from = 0;
    for (let found = sought ? low.indexOf(sought) : -1; found >= 0; found = low.indexOf(sought, from)) {
      place.append(text.slice(from, found), make("mark", {}, text.slice(found, found + sought.length)));
      from = found + sought.length;
    }
    place.append(text.slice(from));
  }

  const lineLink = (seq: number): string => {
    const here = new URLSearchParams(location.search);
    here.set("line", String(seq));
    return `${location.pathname}?${here.toString()}#L${seq}`;
  };

  // ---- tools
  const toggle = (text: string, on: boolean, act: (on: boolean) => void): HTMLInputElement => {
    const input = make("input", { type: "checkbox", checked: on, autocomplete: "off" }); // what a browser remembers of a form is not what is so
    input.addEventListener("change", () => act(input.checked));
    tools.append(make("label", { class: "choice" }, input, text));
    return input;
  };
  const search = find<HTMLInputElement>('input[name="q"]', form)!;
  const status = make("span", { class: "dim", role: "status" });
  const step = (by: number): void => { if (matches.length) goTo((current + by + matches.length) % matches.length); };
  const arrow = (text: string, label: string, by: number): HTMLButtonElement => {
    const made = make("button", { type: "button", class: "button small", "aria-label": label, title: label }, text);
    made.addEventListener("click", () => step(by));
    return made;
  };
  const arrows = make("span", { class: "buttons", hidden: true }, arrow("↑", words.previous, -1), arrow("↓", words.next, 1));
  tools.append(arrows, status);
  const jump = find<HTMLSelectElement>('select[name="taskId"]', form);
  toggle(words.wrap, wrap, (on) => { wrap = on; keep("podium-log-wrap", on); shape(); });
  toggle(words.times, times, (on) => { times = on; keep("podium-log-times", on); shape(); });
  const follow = toggle(words.follow, following, (on) => { following = on; if (on) window_.toEnd(); });
  const end = make("button", { type: "button", class: "button small", hidden: true }, words.to_end);
  end.addEventListener("click", () => { setFollowing(true); window_.toEnd(); });
  tools.append(end);
  every("[data-noscript]", box).forEach((each) => { each.hidden = true; });

  function shape(): void {
    list.classList.toggle("wrapped", wrap);
    list.classList.toggle("timeless", !times);
    window_.tall = wrap;
    window_.refresh();
  }

  function setFollowing(on: boolean): void {
    following = on;
    follow.checked = on;
    end.hidden = on;
    if (on) end.textContent = words.to_end;
  }

  // Only a person ends the following: a list that is shown late, grows or gets another height scrolls by itself.
  let touched = -Infinity;
  for (const kind of ["wheel", "touchmove", "pointerdown", "keydown"]) list.addEventListener(kind, () => { touched = performance.now(); }, { passive: true });
  const pin = (): void => { if (following && total && !window_.atEnd) window_.toEnd(); };
  list.addEventListener("scroll", () => {
    const byHand = performance.now() - touched < 1_500;
    if (following && !window_.atEnd) { if (byHand) setFollowing(false); else pin(); }
    else if (!following && byHand && window_.atEnd) setFollowing(true);
  }, { passive: true });
  new ResizeObserver(pin).observe(list);

  function told(): void {
    const none = find("#no-log");
    none?.classList.toggle("gone", total > 0);
    if (matches.length) status.textContent = fill(more ? words.matches_more : words.matches, { n: current + 1, all: matches.length });
    else status.textContent = wanted ? words.matches_none : fill(words.lines_total, { n: total.toLocaleString("en") });
    arrows.hidden = !matches.length;
  }

  // ---- search
  let typing = 0;
  async function seek(): Promise<void> {
    wanted = search.value.trim();
    const here = new URLSearchParams(location.search);
    if (wanted) here.set("q", wanted); else here.delete("q");
    history.replaceState(null, "", `${location.pathname}?${here.toString()}${location.hash}`);
    if (!wanted) { matches = []; current = -1; told(); window_.refresh(); return; }
    const found = await api<{ found: [number, number][]; more: boolean }>("GET", `${address}/lines/found?${query({ q: wanted })}`);
    if (search.value.trim() !== wanted) return;
    ({ found: matches, more } = found);
    current = -1;
    if (matches.length) {
      const after = matches.findIndex(([index]) => index >= window_.top);
      goTo(after < 0 ? matches.length - 1 : after);
    } else { told(); window_.refresh(); }
  }
  function goTo(which: number): void {
    current = which;
    setFollowing(false);
    const match = matches[which];
    if (match) reveal(match[0]);
    told();
  }
  function reveal(index: number): void {
    window_.reveal(index);
  }
  search.addEventListener("input", () => { clearTimeout(typing); typing = window.setTimeout(() => void seek(), 180); });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); if (search.value.trim() === wanted && matches.length) step(event.shiftKey ? -1 : 1); else void seek(); }
  });
  form.addEventListener("submit", (event) => { if (event.submitter === null && document.activeElement === search) event.preventDefault(); });

  list.addEventListener("click", (event) => {
    const link = (event.target as Element).closest<HTMLAnchorElement>("a.no");
    if (!link) return;
    event.preventDefault();
    chosen = Number(link.parentElement?.dataset.seq ?? 0);
    history.replaceState(null, "", link.href);
    void copy(link.href);
    window_.refresh();
  });
  list.addEventListener("copy", (event) => {
    const text = getSelection()?.toString();
    if (text && event.clipboardData) { event.clipboardData.setData("text/plain", bare(text)); event.preventDefault(); }
  });
  void jump;

  // ---- new lines
  const least = LEVELS.indexOf(only.minLevel);
  onLines((lines) => {
    let added = 0;
    for (const line of lines) {
      if (line[0] <= newest) continue;
      newest = line[0];
      if (line[2] < least || (only.taskId && line[3] !== only.taskId) || (only.taskRunId && line[4] !== only.taskRunId)) continue;
      const page = Math.floor(total / EVERY);
      if (page >= bounds.length) bounds.push(lineAt(total - 1)?.[0] ?? line[0] - 1);
      if (total % EVERY === 0) pages.set(page, [line]);
      else pages.get(page)?.push(line);
      if (wanted && bare(line[6]).toLowerCase().includes(wanted.toLowerCase())) matches.push([total, line[0]]);
      total += 1;
      added += 1;
    }
    if (!added) return;
    told();
    if (following) window_.toEnd();
    else { end.hidden = false; end.textContent = fill(words.new_lines, { n: added }); window_.refresh(); }
  });

  async function begin(): Promise<void> {
    const found = await api<{ total: number; after: number[] }>("GET", `${address}/lines/index?${query({ every: EVERY })}`);
    bounds = found.after;
    total = found.total;
    await load(bounds.length - 1);
    newest = lineAt(total - 1)?.[0] ?? 0;
    // Lines that came between the two answers are in the page: they count, too.
    const lastPage = pages.get(bounds.length - 1);
    if (lastPage?.length) {
      total = (bounds.length - 1) * EVERY + lastPage.length;
      newest = lastPage[lastPage.length - 1]![0];
    }
    shape();
    told();
    const at = Number(box.dataset.line ?? /^#L(\d+)$/.exec(location.hash)?.[1] ?? 0);
    if (at) {
      chosen = at;
      let page = 0;
      while (page + 1 < bounds.length && (bounds[page + 1] ?? 0) < at) page += 1;
      await load(page);
      const inside = pages.get(page)?.findIndex((each) => each[0] >= at) ?? -1;
      setFollowing(false);
      reveal(page * EVERY + Math.max(0, inside));
    } else window_.toEnd();
    if (wanted) await seek();
    connect(newest);
  }
  begin().catch(() => connect(0));
}
