// The command palette (Ctrl K): pages and actions of this page's navigation, flows and executions from the server, found by letters in order.
import { shell } from "../../../strings.json";
import { badge, every, fill, find, make } from "./dom";

interface Command { group: string; name: string; hint?: string; state?: string; href?: string; act?: () => void; icon?: string }
interface Found {
  flows: { namespace: string; id: string; href: string; run: string | null }[];
  executions: { id: string; flow: string; state: string; href: string }[];
}

const ASK_MS = 70;

/** Where the letters of `wanted` stand in `text`, in order, or null; the best place first: whole, at the start of words, near each other. */
export function fuzzy(wanted: string, text: string): { score: number; at: number[] } | null {
  const low = text.toLowerCase();
  const whole = low.indexOf(wanted);
  if (whole >= 0) return { score: 1000 - whole - text.length / 100, at: Array.from(wanted, (_, index) => whole + index) };
  const at: number[] = [];
  let score = 0;
  for (const letter of wanted) {
    if (letter === " ") continue;
    const next = low.indexOf(letter, (at.at(-1) ?? -1) + 1);
    if (next < 0) return null;
    score += next === (at.at(-1) ?? -2) + 1 ? 6 : /[^a-z0-9]/.test(low[next - 1] ?? " ") ? 4 : 1;
    at.push(next);
  }
  return { score: score - text.length / 100, at };
}

function marked(text: string, wanted: string): (Node | string)[] {
  const places = new Set(fuzzy(wanted, text)?.at ?? []);
  return Array.from(text, (letter, index) => (places.has(index) ? make("mark", {}, letter) : letter));
}

/** Make Ctrl K work. actions: beside the pages. */
export function palette(actions: () => Command[]): void {
  const dialog = find<HTMLDialogElement>("#palette");
  const input = find<HTMLInputElement>("#palette-input");
  const list = find("#palette-list");
  if (!dialog || !input || !list) return;
  let shown: Command[] = [];
  let on = 0;
  let timer = 0;
  let turn = 0;
  let found: Found = { flows: [], executions: [] };

  const pages = (): Command[] => every<HTMLAnchorElement>("#side a[title]").map((link) => ({
    group: shell.palette_pages, name: find("span", link)?.textContent ?? link.title, href: link.href, ...(link.dataset.key ? { hint: link.dataset.key } : {}),
  }));
  const go = (command: Command | undefined): void => {
    if (!command) return;
    dialog.close();
    if (command.act) command.act();
    else if (command.href) location.href = command.href;
  };
  const select = (next: number): void => {
    on = Math.max(0, Math.min(next, shown.length - 1));
    every("[role=option]", list).forEach((option, index) => {
      option.setAttribute("aria-selected", String(index === on));
      if (index === on) option.scrollIntoView({ block: "nearest" });
    });
    if (shown.length) input.setAttribute("aria-activedescendant", `command-${on}`);
    else input.removeAttribute("aria-activedescendant");
  };
  const draw = (): void => {
    const wanted = input.value.trim().toLowerCase();
    const near = (commands: Command[]): Command[] => commands
      .map((command) => ({ command, match: fuzzy(wanted, command.name) }))
      .filter((each) => each.match).sort((one, other) => (other.match?.score ?? 0) - (one.match?.score ?? 0)).map((each) => each.command);
    const flows = found.flows.map((flow): Command => ({ group: shell.palette_flows, name: flow.id, hint: flow.namespace, href: flow.href }));
    const runs = wanted ? found.flows.slice(0, 3).flatMap((flow): Command[] => flow.run ? [{ group: shell.palette_actions, name: fill(shell.run_flow, { name: flow.id }), hint: flow.namespace, href: flow.run }] : []) : [];
    const executions = found.executions.map((each): Command => ({ group: shell.palette_executions, name: each.id, hint: each.flow, state: each.state, href: each.href }));
    const some = wanted ? [...near(pages()), ...executions.filter((each) => each.name.toLowerCase() === wanted), ...flows, ...executions.filter((each) => each.name.toLowerCase() !== wanted), ...runs, ...near(actions())] : [...pages(), ...actions(), ...flows.slice(0, 5)];
    const groups = [...new Set(some.map((each) => each.group))];
    shown = groups.flatMap((group) => some.filter((each) => each.group === group));
    list.replaceChildren(...groups.map((group, number) => {
      const options = shown.map((command, index) => ({ command, index })).filter((each) => each.command.group === group).map(({ command, index }) => {
        const option = make("div", { role: "option", id: `command-${index}`, "aria-selected": "false" },
          make("span", {}, ...marked(command.name, wanted)), command.hint ? make("small", {}, command.hint) : null, command.state ? badge(command.state) : null);
        option.addEventListener("click", (event) => { if (event.ctrlKey || event.metaKey) { if (command.href) open(command.href); } else go(command); });
        option.addEventListener("pointermove", () => { if (on !== index) select(index); });
        return option;
      });
      return make("div", { role: "group", "aria-labelledby": `group-${number}` }, make("div", { class: "group", id: `group-${number}`, role: "presentation" }, group), ...options);
    }), ...(shown.length ? [] : [make("p", { class: "none" }, shell.palette_none)]));
    select(0);
  };
  const ask = (): void => {
    clearTimeout(timer);
    timer = window.setTimeout(async () => {
      const mine = ++turn;
      try {
        const answer = await fetch(`/palette?q=${encodeURIComponent(input.value.trim())}`, { headers: { Accept: "application/json" }, credentials: "same-origin" });
        if (!answer.ok || mine !== turn) return;
        found = (await answer.json()) as Found;
        draw();
      } catch { /* pages and actions are there all the same */ }
    }, ASK_MS);
  };
  input.addEventListener("input", () => { draw(); ask(); });
  input.addEventListener("keydown", (event) => {
    const steps: Record<string, number> = { ArrowDown: on + 1, ArrowUp: on - 1, PageDown: on + 8, PageUp: on - 8, Home: 0, End: shown.length - 1 };
    const next = steps[event.key];
    if (next !== undefined && !(event.key === "Home" || event.key === "End" ? input.value : "")) { event.preventDefault(); select(shown.length ? (next < 0 && event.key === "ArrowUp" ? shown.length - 1 : next >= shown.length && event.key === "ArrowDown" ? 0 : next) : 0); }
    else if (event.key === "Enter") { event.preventDefault(); go(shown[on]); }
  });
  document.addEventListener("podium:palette", () => {
    if (dialog.open) { dialog.close(); return; }
    if (find("dialog[open]")) return;
    input.value = "";
    dialog.showModal();
    draw();
    ask();
    input.focus();
  });
}
