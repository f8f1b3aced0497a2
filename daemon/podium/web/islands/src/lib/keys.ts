// The keyboard: "/" to the search, "g" and a letter to a page, "?" what there is, j and k along the rows of a list, Escape closes.
import { every, find } from "./dom";

let prefix = 0;
let row: HTMLElement | null = null;

const typing = (target: EventTarget | null): boolean => target instanceof Element && target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable], .cm-editor") !== null;

/** Where a key was pressed, also inside of a shadow root, as the editor's text is. */
const origin = (event: Event): EventTarget | null => event.composedPath()[0] ?? event.target;

function open(id: string): void {
  const dialog = find<HTMLDialogElement>(`dialog#${id}`);
  if (dialog && !dialog.open) dialog.showModal();
}

function step(by: number): void {
  const rows = every(".list tbody tr").filter((each) => find("a[href]", each) && each.offsetParent !== null);
  if (!rows.length) return;
  const at = row?.isConnected ? rows.indexOf(row) : -1;
  row?.removeAttribute("data-on");
  row = rows[Math.min(Math.max(at + by, 0), rows.length - 1)] ?? null;
  row?.setAttribute("data-on", "");
  const link = row && (find<HTMLElement>("a.strong, a.mono", row) ?? find<HTMLElement>("a[href]", row));
  link?.focus({ preventScroll: true });
  row?.scrollIntoView({ block: "nearest" });
}

function close(): void {
  const active = document.activeElement;
  for (const menu of every<HTMLDetailsElement>("details.menu[open]")) {
    menu.open = false;
    if (menu.contains(active)) find("summary", menu)?.focus();
  }
  if (active instanceof HTMLElement && typing(active) && !active.closest("dialog, .cm-editor")) active.blur();
}

const PLAIN: Record<string, () => void> = {
  "/": () => { const search = find<HTMLInputElement>("main [data-search]") ?? find<HTMLInputElement>("#find"); search?.focus(); search?.select(); },
  "?": () => open("keys"),
  j: () => step(1),
  k: () => step(-1),
  x: () => { if (row?.isConnected) find<HTMLInputElement>("[data-mark]", row)?.click(); },
  g: () => { prefix = Date.now(); },
};

/** Listen to the keys of this page. */
export function keys(): void {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented) return;
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k" && find("#palette")) {
      const place = origin(event);
      if (place instanceof Element && place.closest(".cm-editor")) return;
      event.preventDefault();
      document.dispatchEvent(new CustomEvent("podium:palette"));
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") { close(); return; }
    if (typing(origin(event)) || find("dialog[open]")) return;
    if (Date.now() - prefix < 1500 && /^[a-z]$/.test(event.key)) {
      prefix = 0;
      const target = find<HTMLAnchorElement>(`a[data-key="g ${event.key}"]`);
      if (target) { event.preventDefault(); location.href = target.href; }
      return;
    }
    const act = PLAIN[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  find("#open-keys")?.addEventListener("click", () => open("keys"));
  find("#open-palette")?.addEventListener("click", () => document.dispatchEvent(new CustomEvent("podium:palette")));
  for (const id of ["#open-keys", "#open-palette"]) { const button = find(id); if (button) button.hidden = false; }
}
