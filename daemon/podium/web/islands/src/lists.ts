// The lists: filters without loading the page, many at a time, views kept under a name, columns, log lines as they come.
import { lists } from "../../strings.json";
import { bulk } from "./lib/bulk";
import { every, fill, find, keep, kept, make } from "./lib/dom";
import { filters } from "./lib/filters";
import { onChange } from "./lib/live";

interface View { name: string; query: string }
const VIEWS_MAX = 30;
const TAIL_MS = 1_000;

function views(): void {
  const place = find("[data-views]");
  const form = find<HTMLFormElement>("[data-save-view]");
  const menu = find<HTMLDetailsElement>("#views");
  if (!place || !form || !menu) return;
  const name = `podium-views:${place.dataset.views}`;
  const draw = (): void => {
    const known = kept<View[]>(name, []);
    place.replaceChildren(...known.map((view) => {
      const forget = make("button", { class: "icon small", type: "button", "aria-label": fill(lists.view_delete, { name: view.name }) }, "×");
      forget.addEventListener("click", (event) => { event.stopPropagation(); keep(name, kept<View[]>(name, []).filter((each) => each.name !== view.name)); draw(); });
      return make("div", { class: "view" }, make("a", { class: "item", href: `${place.dataset.views}?${view.query}` }, view.name), forget);
    }), ...(known.length ? [] : [make("p", { class: "dim" }, lists.view_none)]));
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const field = find<HTMLInputElement>("input", form);
    const title = field?.value.trim();
    if (!field || !title) return;
    const query = new URLSearchParams(location.search);
    ["page", "after"].forEach((each) => query.delete(each));
    keep(name, [...kept<View[]>(name, []).filter((each) => each.name !== title), { name: title, query: query.toString() }].slice(-VIEWS_MAX));
    field.value = "";
    draw();
  });
  draw();
}

function columns(): void {
  const place = find("[data-columns]");
  if (!place) return;
  const name = `podium-columns:${place.dataset.columns}`;
  const show = (): void => {
    const hidden = kept<string[]>(name, ["revision"]);
    document.getElementById("list")?.setAttribute("data-hide", hidden.join(" "));
    every<HTMLInputElement>("input", place).forEach((each) => { each.checked = !hidden.includes(each.value); });
  };
  place.addEventListener("change", () => { keep(name, every<HTMLInputElement>("input:not(:checked)", place).map((each) => each.value)); show(); });
  document.addEventListener("podium:part", show);
  show();
}

/** New lines as they come, while the box is ticked: the newest page is fetched when something ran. */
function tail(): void {
  const box = find<HTMLInputElement>("#tail");
  const list = find("#list");
  const form = find<HTMLFormElement>("#filters");
  if (!box || !list || !form) return;
  let waiting = 0;
  const later = (): void => {
    if (!box.checked || document.hidden) return;
    waiting ||= window.setTimeout(() => { waiting = 0; document.dispatchEvent(new CustomEvent("podium:refresh")); }, TAIL_MS);
  };
  const timer = (): void => { if (box.checked) { later(); setTimeout(timer, 2 * TAIL_MS); } };
  onChange(later);
  box.addEventListener("change", () => {
    list.toggleAttribute("data-part", box.checked);
    timer();
  });
}

document.documentElement.dataset.scripts = "";
const tree = find<HTMLDetailsElement>(".tree");
if (tree && matchMedia("(max-width: 1100px)").matches) tree.open = false;
filters();
views();
columns();
tail();
const list = find("[data-list]");
if (list) bulk(list);
