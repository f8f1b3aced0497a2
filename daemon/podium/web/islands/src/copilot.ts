// The copilot's panel: say what the flow shall do, see what is being done, look at the change, take it or leave it. Nothing is saved or run here.
// What a model wrote is only ever put into text nodes and the text of an editor.
import { copilot as words } from "../../strings.json";
import { fill, find, make } from "./lib/dom";
import { showChanges } from "./lib/editor/compare";
import { ask, Refused, type Problem, type Turn } from "./lib/copilot";

export interface Host {
  /** The present text; "" for a new flow. */
  current(): string;
  /** Take this text in its place. */
  accept(text: string): void;
  /** Where the flow belongs; read from the text when it is not given. */
  namespace?(): string;
  /** What the box says at first. */
  prompt?: string;
}

const TURNS_MAX = 4;
let turns: Turn[] = []; // of this page, for "now make it …"
let panels = 0;

const namespaceIn = (text: string): string => /^namespace\s*:\s*["']?([a-zA-Z0-9._-]+)/m.exec(text)?.[1] ?? "";

/** The panel in `place`. */
export function copilotPanel(place: HTMLElement, host: Host): { destroy(): void } {
  const id = `copilot-${++panels}`;
  const box = make("textarea", { id, rows: 4, maxlength: 10_000, placeholder: words.placeholder, "aria-describedby": `${id}-about` });
  box.value = host.prompt ?? "";
  const send = make("button", { class: "button primary", type: "submit" }, words.ask);
  const stop = make("button", { class: "button", type: "button", hidden: true }, words.stop);
  const status = make("p", { class: "copilot-status", role: "status" });
  const result = make("div", { class: "copilot-result" });
  const before = make("ul", { class: "copilot-before", "aria-label": words.history });
  const form = make("form", { class: "copilot" }, make("label", { for: id }, words.label), box, make("p", { class: "dim", id: `${id}-about` }, words.about), make("div", { class: "copilot-buttons" }, send, stop));
  place.replaceChildren(make("section", { class: "copilot-panel", "aria-label": words.title }, before, form, status, result));
  let running: AbortController | null = null;
  let shown: { destroy(): void } | null = null;

  const clear = (): void => { shown?.destroy(); shown = null; result.replaceChildren(); };
  const history = (): void => before.replaceChildren(...turns.map((each) => make("li", {}, each.prompt)));
  const busy = (on: boolean): void => { send.disabled = on; stop.hidden = !on; box.readOnly = on; };

  const failed = (error: unknown, prompt: string): void => {
    const words_ = error instanceof Refused ? error : null;
    const note = make("div", { class: "banner bad", role: "alert" }, make("span", {}, error instanceof Error ? error.message : String(error), words_?.hint ? make("i", {}, ` ${words_.hint}`) : null));
    result.replaceChildren(note);
    if (words_?.code === "secret-in-prompt") {
      const list = make("ul", {}, ...words_.errors.map((each) => make("li", {}, each.message)));
      const masked = make("button", { class: "button", type: "button" }, words.send_masked);
      masked.addEventListener("click", () => { void run(prompt, true); });
      result.append(list, make("p", { class: "dim" }, words.masked_about), masked);
    }
    if (words_?.retryAfterS) result.append(make("p", { class: "dim" }, fill(words.retry_after, { n: words_.retryAfterS })));
  };

  const offer = (prompt: string, answer: { source: string; problems: Problem[]; rounds: number; said: string }): void => {
    clear();
    const present = host.current();
    if (answer.said) result.append(make("p", { class: "copilot-said" }, answer.said));
    if (!answer.source) { result.append(make("p", { class: "error-text", role: "alert" }, words.no_flow)); return; }
    if (answer.problems.length) {
      result.append(make("p", { class: "error-text" }, fill(words.problems, { n: answer.problems.length, rounds: answer.rounds })), make("ul", {}, ...answer.problems.slice(0, 20).map((each) => make("li", {}, `${each.line}: ${each.message}`))));
    } else result.append(make("p", { class: "ok-text" }, fill(answer.rounds === 1 ? words.valid : words.valid_after, { n: answer.rounds })));
    const diff = make("div", { class: "copilot-diff" });
    const take = make("button", { class: "button primary", type: "button" }, answer.problems.length ? words.accept_anyway : words.accept);
    const leave = make("button", { class: "button", type: "button" }, words.reject);
    result.append(diff, make("div", { class: "copilot-buttons" }, take, leave));
    shown = showChanges(diff, present, answer.source, "flow.yaml");
    take.addEventListener("click", () => {
      if (host.current() !== present) { status.textContent = words.moved; offer(prompt, answer); return; }
      turns = [...turns, { prompt, source: answer.source }].slice(-TURNS_MAX);
      history();
      host.accept(answer.source);
      clear();
      box.value = "";
      status.textContent = words.accepted;
    });
    leave.addEventListener("click", () => { clear(); status.textContent = words.rejected; box.focus(); });
    take.focus();
  };

  const run = async (prompt: string, mask: boolean): Promise<void> => {
    const flow = host.current();
    clear();
    busy(true);
    running = new AbortController();
    status.textContent = words.sending;
    try {
      const answer = await ask({ prompt, flow, namespace: host.namespace?.() ?? namespaceIn(flow), mask, history: turns }, (event) => {
        if (event.kind === "context") status.textContent = fill(words.context, { n: event.types.length, tokens: event.tokens });
        else if (event.kind === "round") status.textContent = fill(event.round === 1 ? words.writing : words.repairing, { round: event.round, of: event.of });
        else if (event.kind === "text") status.textContent = fill(words.written, { n: event.chars });
        else if (event.kind === "checked" && event.problems.length) status.textContent = fill(words.mistakes, { n: event.problems.length });
      }, running.signal);
      status.textContent = "";
      offer(prompt, answer);
    } catch (error) {
      if (running.signal.aborted) status.textContent = words.stopped;
      else { status.textContent = ""; failed(error, prompt); }
    } finally {
      running = null;
      busy(false);
    }
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const prompt = box.value.trim();
    if (prompt && !running) void run(prompt, false);
    else if (!prompt) box.focus();
  });
  box.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); } });
  stop.addEventListener("click", () => running?.abort());
  history();
  box.focus();
  return { destroy: () => { running?.abort(); clear(); place.replaceChildren(); } };
}

// A page without an editor of its own: a textarea that is written by the panel.
const own = find<HTMLTextAreaElement>("[data-copilot-for]");
const place = find("[data-copilot]");
if (own && place) copilotPanel(place, { current: () => own.value, accept: (text) => { own.value = text; own.dispatchEvent(new Event("input", { bubbles: true })); } });
