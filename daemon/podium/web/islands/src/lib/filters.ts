// Filters without loading the page: <form data-filter="ids of the parts that change">. The address holds what is asked for, so that it can be
// shared and gone back to. Without scripts the form is sent as it is.
import { every, find } from "./dom";
import { morphInto } from "./live";
import { showTimes } from "./time";

const TYPING_MS = 300;

/** What the form asks for, without what is empty; states as one list. */
export function asked(form: HTMLFormElement): URLSearchParams {
  const found = new URLSearchParams();
  const lists = new Map<string, string[]>();
  new FormData(form).forEach((value, name) => {
    if (typeof value !== "string" || value.trim() === "") return;
    lists.set(name, [...(lists.get(name) ?? []), value.trim()]);
  });
  lists.forEach((values, name) => found.set(name, values.join(",")));
  return found;
}

function chosen(form: HTMLFormElement): void {
  for (const shown of every("[data-chosen]", form)) {
    const menu = shown.closest("details");
    const names = menu ? every<HTMLInputElement>("input:checked", menu).map((each) => each.closest("label")?.textContent?.trim() ?? "") : [];
    shown.textContent = names.join(", ") || (shown.dataset.chosen ?? "");
  }
}

async function show(form: HTMLFormElement, address: string): Promise<void> {
  const answer = await fetch(address, { headers: { Accept: "text/html" }, credentials: "same-origin" });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!answer.ok || answer.redirected) { location.href = address; return; }
  for (const id of form.dataset.filter?.split(" ") ?? []) {
    const old = document.getElementById(id);
    const next = fresh.getElementById(id);
    if (!old || !next) continue;
    morphInto(old, document.adoptNode(next));
    showTimes(old);
    old.dispatchEvent(new CustomEvent("podium:part", { bubbles: true }));
  }
}

/** Make every such form of this page quick. */
export function filters(): void {
  for (const form of every<HTMLFormElement>("form[data-filter]")) {
    let turn = 0;
    let timer = 0;
    const go = async (): Promise<void> => {
      clearTimeout(timer);
      const mine = ++turn;
      const query = asked(form).toString();
      const address = form.action.split("?")[0] + (query ? `?${query}` : "");
      const list = document.getElementById(form.dataset.filter?.split(" ")[0] ?? "");
      list?.setAttribute("aria-busy", "true");
      try {
        history.replaceState(null, "", address);
        if (mine === turn) await show(form, address);
      } finally {
        list?.removeAttribute("aria-busy");
      }
    };
    const soon = (): void => { clearTimeout(timer); timer = window.setTimeout(() => void go(), TYPING_MS); };
    form.addEventListener("submit", (event) => { event.preventDefault(); void go(); });
    form.addEventListener("input", (event) => { if ((event.target as Element).matches("input:not([type=checkbox], [type=radio])")) soon(); });
    form.addEventListener("change", (event) => {
      chosen(form);
      // A span of time and a moment exclude each other.
      const field = event.target as HTMLInputElement;
      if (field.name === "range" && field.value) every<HTMLInputElement>("[name=startDate], [name=endDate]", form).forEach((each) => { each.value = ""; });
      if ((field.name === "startDate" || field.name === "endDate") && field.value) { const all = find<HTMLInputElement>("[name=range][value='']", form); if (all) all.checked = true; }
      void go();
    });
  }
}
