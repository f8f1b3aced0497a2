// Small things every script of a page needs: finding, making, words with values, badges, toasts, questions.
import { shell, state as words } from "../../../strings.json";

export const find = <Kind extends Element = HTMLElement>(selector: string, root: ParentNode = document): Kind | null => root.querySelector<Kind>(selector);
export const every = <Kind extends Element = HTMLElement>(selector: string, root: ParentNode = document): Kind[] => Array.from(root.querySelectorAll<Kind>(selector));

type Child = Node | string | null | undefined | false;

/** An element. Attributes that are false, null or undefined are left out, true stands without a value; text is text, never markup. */
export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name, attributes: Record<string, string | number | boolean | null | undefined> = {}, ...children: Child[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null && child !== undefined && child !== false) made.append(child);
  return made;
}

/** `text` with each {name} replaced by its value, as the templates' t() does. */
export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}

/** The word of a state. */
export function stateWord(state: string): string {
  return (words as Record<string, string>)[state.toLowerCase()] ?? state;
}

/** The badge of a state: as the macro ui.badge makes it. */
export function badge(state: string): HTMLElement {
  return make("span", { class: `badge s-${state.replace(/[^A-Z]/g, "")}` }, stateWord(state));
}

/** An icon that the page has: copied from an element with data-icon of this name. */
export function icon(name: string): Node | null {
  return find(`[data-icon="${name}"] svg`)?.cloneNode(true) ?? null;
}

/** Say something for a moment, in a corner; screen readers say it, too. */
export function toast(text: string, kind: "ok" | "warn" | "bad" | "info" = "ok"): void {
  const place = find("#toasts");
  if (!place) return;
  const close = make("button", { class: "icon small", type: "button", "aria-label": shell.close }, "×");
  const made = make("div", { class: `toast ${kind}` }, make("span", {}, text), close);
  const gone = (): void => made.remove();
  close.addEventListener("click", gone);
  place.append(made);
  while (place.childElementCount > 4) place.firstElementChild?.remove();
  if (kind !== "bad") {
    let timer = setTimeout(gone, 6000);
    made.addEventListener("pointerenter", () => clearTimeout(timer));
    made.addEventListener("pointerleave", () => { timer = setTimeout(gone, 2500); });
  }
}

/** Ask before something that cannot be taken back; whether the answer was yes. */
export function confirmed(question: string, yes: string = shell.confirm_yes): Promise<boolean> {
  const dialog = find<HTMLDialogElement>("#confirm");
  const text = find("#confirm-text");
  const button = find<HTMLButtonElement>("#confirm-yes");
  if (!dialog || !text || !button || dialog.open) return Promise.resolve(false);
  text.textContent = question;
  button.textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((answer) => dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"), { once: true }));
}

/** Copy text and say so. */
export async function copy(text: string): Promise<void> {
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else { // a page over plain HTTP from another machine has no clipboard
    const field = make("textarea", { class: "hidden", "aria-hidden": "true" });
    field.value = text;
    (find<HTMLDialogElement>("dialog[open]") ?? document.body).append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  toast(shell.copied);
}

/** What was stored for this browser, or `other`; storage may be off. */
export function kept<Value>(name: string, other: Value): Value {
  try {
    const raw = localStorage.getItem(name);
    return raw === null ? other : (JSON.parse(raw) as Value);
  } catch {
    return other;
  }
}

/** Store for this browser, if it lets us. */
export function keep(name: string, value: unknown): void {
  try {
    localStorage.setItem(name, JSON.stringify(value));
  } catch { /* for this page only, then */ }
}

/** Ask the API. Resolves to the answer's JSON; rejects with the words of the error. */
export async function api<Answer = unknown>(method: string, path: string, body?: unknown): Promise<Answer> {
  const answer = await fetch(path, {
    method, credentials: "same-origin", headers: { Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await answer.text();
  const found: unknown = text && answer.headers.get("Content-Type")?.includes("json") ? JSON.parse(text) : null;
  if (!answer.ok) throw new Error((found as { message?: string } | null)?.message ?? `${answer.status} ${answer.statusText}`);
  return found as Answer;
}
