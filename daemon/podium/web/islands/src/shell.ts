// What every page loads: keys, colours, menus, dialogs, copying, questions, times, live parts, commands. Every page reads without it.
import "htmx.org";
import { shell } from "../../strings.json";
import { confirmed, copy, every, find } from "./lib/dom";
import { keys } from "./lib/keys";
import { goLive, type Parts } from "./lib/live";
import { palette } from "./lib/palette";
import { keepTimes, showTimes, timesWanted, type Times } from "./lib/time";

let parts: Parts | null = null;

function store(name: string, value: string): void {
  try { localStorage.setItem(name, value); } catch { /* for this page only */ }
}

export function setTheme(wanted: string): void {
  if (wanted === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = wanted;
  store("podium-theme", wanted);
}

/** Show in the account menu what is chosen. */
function preferences(): void {
  const check = (place: HTMLElement | null, value: string): void => {
    if (!place) return;
    place.hidden = false;
    every<HTMLInputElement>("input", place).forEach((each) => { each.checked = each.value === value; });
  };
  check(find("#theme"), document.documentElement.dataset.theme ?? "system");
  check(find("#times"), timesWanted());
}

function choices(): void {
  const fold = find("#fold");
  find("#theme")?.addEventListener("change", (event) => setTheme((event.target as HTMLInputElement).value));
  find("#times")?.addEventListener("change", (event) => { store("podium-times", (event.target as HTMLInputElement).value as Times); showTimes(); });
  if (fold) {
    const root = document.documentElement;
    const show = (): void => {
      const narrow = root.dataset.side === "narrow";
      fold.setAttribute("aria-pressed", String(narrow));
      fold.setAttribute("aria-label", shell.wide_navigation);
    };
    fold.hidden = false;
    show();
    fold.addEventListener("click", () => {
      if (root.dataset.side === "narrow") delete root.dataset.side;
      else root.dataset.side = "narrow";
      store("podium-side", root.dataset.side ?? "wide");
      show();
    });
  }
}

/** Switch on what a script adds to a part of a page. */
function enhance(root: ParentNode): void {
  every("[data-copy]", root).forEach((each) => { each.hidden = false; });
  every("[data-script]", root).forEach((each) => { each.hidden = false; });
  scrollable(root);
}

/** What can be scrolled can be focused, so that the keyboard scrolls it, unless there is something in it to focus. */
function scrollable(root: ParentNode): void {
  for (const each of every(".scroll, .code, .log, pre, .revisions", root)) {
    const moves = each.scrollWidth > each.clientWidth + 1 || each.scrollHeight > each.clientHeight + 1;
    if (moves && !find("a[href], button, input, [tabindex]", each)) each.tabIndex = 0;
  }
}

function clicks(): void {
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    every<HTMLDetailsElement>("details.menu[open]").forEach((menu) => { if (!menu.contains(target)) menu.open = false; });
    const source = target.closest<HTMLElement>("[data-copy]");
    if (source?.dataset.copy !== undefined) void copy(source.dataset.copy);
    const opens = target.closest<HTMLElement>("[data-opens]")?.dataset.opens;
    if (opens) (document.getElementById(opens) as HTMLDialogElement | null)?.showModal();
    if (target instanceof HTMLDialogElement && target.open) { // a click beside an open dialog
      const box = target.getBoundingClientRect();
      if (event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom) target.close();
    }
  });
  document.addEventListener("change", (event) => {
    const field = event.target as HTMLSelectElement;
    if (field.matches?.("[data-submit]")) field.form?.requestSubmit();
  });
  // <form data-confirm="question"> or a button with it: asked before it is sent.
  document.addEventListener("submit", (event) => {
    const form = event.target as HTMLFormElement;
    const button = (event as SubmitEvent).submitter;
    const question = button?.dataset.confirm ?? form.dataset.confirm;
    if (question === undefined || form.dataset.sure === "yes") { delete form.dataset.sure; return; }
    event.preventDefault();
    void confirmed(question, button?.dataset.yes ?? form.dataset.yes ?? button?.textContent?.trim()).then((yes) => {
      if (!yes) return;
      form.dataset.sure = "yes";
      form.requestSubmit(button);
    });
  });
  addEventListener("toggle", (event) => { // one menu at a time, the first thing in it is next
    const menu = event.target as HTMLDetailsElement;
    if (menu.matches?.("details.menu") && menu.open) every<HTMLDetailsElement>("details.menu[open]").forEach((other) => { if (other !== menu) other.open = false; });
  }, true);
}

/** Have the parts of this page fetched anew, after a script did something. */
export function refresh(): void {
  parts?.later();
}

function actions(): Parameters<typeof palette>[0] extends () => infer Commands ? Commands : never {
  const group = shell.palette_actions;
  const colours = (["system", "light", "dark"] as const).map((each) => ({ group, name: `${shell.theme}: ${shell[`theme_${each}`]}`, act: () => { setTheme(each); preferences(); } }));
  const times = (["relative", "exact", "utc"] as const).map((each) => ({ group, name: `${shell.times}: ${shell[`times_${each}`]}`, act: () => { store("podium-times", each); showTimes(); preferences(); } }));
  return [
    { group, name: shell.new_flow, href: "/editor/new" }, ...colours, ...times,
    { group, name: shell.keys, hint: "?", act: () => find<HTMLDialogElement>("dialog#keys")?.showModal() }, { group, name: shell.account_page, href: "/account" },
  ];
}

preferences();
choices();
palette(actions);
enhance(document);
clicks();
keys();
keepTimes();
// A script changed a part of the page by itself.
document.addEventListener("podium:shown", (event) => { if (event.target instanceof Element) { enhance(event.target); showTimes(event.target); } });
document.addEventListener("htmx:after:swap", () => { enhance(document); showTimes(); });
document.addEventListener("podium:refresh", refresh);
addEventListener("resize", () => scrollable(document));
const tab = find(".tabs a[aria-current]");
if (tab?.parentElement) tab.parentElement.scrollLeft = tab.offsetLeft - 40;
if (document.body.hasAttribute("data-live")) parts = goLive(enhance);
