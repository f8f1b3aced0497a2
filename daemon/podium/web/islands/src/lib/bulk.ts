// Many at a time: rows are marked, a bar says how many, its buttons ask and then call the API with their ids, in portions.
import { lists } from "../../../strings.json";
import { confirmed, every, fill, find, toast } from "./dom";

const PORTION = 200;

interface Refusals { message?: string; count?: number; invalids?: { message: string; path?: string }[] }

interface Marked { id: string; state: string }

/** Rows marked by hand, or all that the filters find. */
export function bulk(list: HTMLElement): void {
  let everything: Marked[] | null = null;
  const bar = (): HTMLElement | null => find("#bulk", list);
  const marks = (): HTMLInputElement[] => every<HTMLInputElement>("[data-mark]", list);
  const marked = (): Marked[] => everything ?? marks().filter((each) => each.checked).map((each) => ({ id: each.value, state: each.dataset.state ?? "" }));

  const count = (): void => {
    const place = bar();
    if (!place) return;
    const boxes = marks();
    const on = boxes.filter((each) => each.checked).length;
    const number = everything?.length ?? on;
    place.hidden = number === 0;
    const shown = find("[data-count]", place);
    if (shown) shown.textContent = fill(lists.selected, { n: number.toLocaleString("en") });
    const all = find<HTMLInputElement>("[data-mark-all]", list);
    if (all) { all.checked = boxes.length > 0 && on === boxes.length; all.indeterminate = on > 0 && on < boxes.length; }
    const more = find("[data-all]", place);
    if (more) more.hidden = !(everything === null && on === boxes.length && Number(place.dataset.total) > boxes.length);
  };
  const unmark = (): void => {
    everything = null;
    marks().forEach((each) => { each.checked = false; });
    count();
  };

  async function call(button: HTMLElement, ids: string[], labels: Record<string, string>[] | null): Promise<void> {
    const path = button.dataset.act ?? "";
    const values = ids.map((each) => (each.startsWith("{") ? (JSON.parse(each) as unknown) : each));
    let done = 0;
    const refused: { message: string }[] = [];
    for (let at = 0; at < values.length; at += PORTION) {
      const portion = values.slice(at, at + PORTION);
      const answer = await fetch(path, {
        method: button.dataset.method ?? "POST", credentials: "same-origin", headers: { "Content-Type": "application/json", Accept: "application/json, application/zip" },
        body: JSON.stringify(labels ? { executionsId: portion, executionLabels: labels } : portion),
      });
      if (answer.ok && button.dataset.save) { save(await answer.blob(), button.dataset.save); done += portion.length; continue; }
      const said = (await answer.json().catch(() => ({}))) as Refusals;
      if (answer.ok) done += said.count ?? portion.length;
      else {
        refused.push(...(said.invalids?.length ? said.invalids : [{ message: said.message ?? `${answer.status}` }]));
        done += said.count ?? 0;
      }
    }
    if (refused.length) toast(fill(lists.refused, { n: refused.length, what: [...new Set(refused.map((each) => each.message))].slice(0, 3).join(" · ") }), "bad");
    if (done) toast(fill(lists.done, { n: done }));
    unmark();
    document.dispatchEvent(new CustomEvent("podium:refresh"));
  }

  async function askLabels(): Promise<Record<string, string>[] | null> {
    const dialog = find<HTMLDialogElement>("#labels-dialog");
    const form = find<HTMLFormElement>("[data-labels-form]");
    const field = form && find<HTMLTextAreaElement>("textarea", form);
    if (!dialog || !form || !field) return null;
    dialog.showModal();
    return new Promise((answer) => {
      const over = new AbortController();
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        const pairs = field.value.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => [line.slice(0, line.indexOf(":")).trim(), line.slice(line.indexOf(":") + 1).trim()] as const);
        if (pairs.some(([key, value]) => !key || !value)) { toast(lists.labels_wrong, "bad"); return; }
        answer(pairs.map(([key, value]) => ({ key, value })));
        dialog.close();
      }, { signal: over.signal });
      dialog.addEventListener("close", () => { over.abort(); answer(null); }, { once: true });
    });
  }

  list.addEventListener("change", (event) => {
    const box = event.target as HTMLInputElement;
    if (box.matches("[data-mark-all]")) marks().forEach((each) => { each.checked = box.checked; });
    if (box.matches("[data-mark-all], [data-mark]")) { everything = null; count(); }
  });
  list.addEventListener("click", (event) => {
    const target = (event.target as Element).closest<HTMLElement>("#bulk button");
    if (!target) return;
    if (target.matches("[data-none]")) unmark();
    else if (target.matches("[data-all]")) void (async () => {
      const answer = await fetch(bar()?.dataset.ids ?? "", { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (answer.ok) { everything = ((await answer.json()) as { found: [string, string][] }).found.map(([id, state]) => ({ id, state })); count(); }
    })();
    else void (async () => {
      const all = marked();
      const states = target.dataset.states?.split(" ");
      const ids = all.filter((each) => !states || states.includes(each.state)).map((each) => each.id);
      const others = all.length - ids.length;
      if (!ids.length) { toast(fill(lists.none_can, { n: others.toLocaleString("en") }), "warn"); return; }
      const labels = target.matches("[data-labels]") ? await askLabels() : null;
      if (target.matches("[data-labels]") && !labels) return;
      const question = target.dataset.question;
      if (question && !(await confirmed(fill(question, { n: ids.length.toLocaleString("en") }) + (others ? `\n\n${fill(lists.others_stay, { n: others.toLocaleString("en") })}` : ""), target.textContent?.trim()))) return;
      await call(target, ids, labels);
    })();
  });
  document.addEventListener("podium:part", count);
  count();
}

function save(what: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(what);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
