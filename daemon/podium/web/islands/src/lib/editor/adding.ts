// The catalogue of types in a dialog: search, groups by plug-in, what each does. Gives the one that was chosen.
import { editor, nocode as words } from "../../../../strings.json";
import { fill, make } from "../dom";
import { prose } from "./assist";
import type { Kind, Language, TypeInfo } from "./schema";

const SHOWN_MAX = 120;

/** Let somebody choose a type; null when they leave. */
export function chooseType(language: Language, kind: Kind): Promise<TypeInfo | null> {
  return new Promise((resolve) => {
    const all = language.types(kind);
    const search = make("input", { type: "search", placeholder: words.search_types, "aria-label": words.search_types, autocomplete: "off" });
    const list = make("div", { class: "nc-types" });
    const count = make("p", { class: "hidden", role: "status" });
    const close = make("button", { class: "button", type: "button" }, editor.cancel);
    const dialog = make("dialog", { class: "dialog nc-catalogue", "aria-labelledby": "nc-catalogue-title" },
      make("h2", { id: "nc-catalogue-title" }, fill(words.choose, { kind: (words as Record<string, string>)[`kind_${kind}`] ?? kind })), search, count, list, make("div", { class: "dialog-foot" }, close));
    let chosen: TypeInfo | null = null;
    const draw = (): void => {
      const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const fits = (each: TypeInfo): boolean => wanted.every((word) => `${each.short} ${each.about}`.toLowerCase().includes(word));
      const inName = (each: TypeInfo): boolean => wanted.every((word) => each.short.toLowerCase().includes(word));
      const found = all.filter(fits).sort((a, b) => Number(a.deprecated) - Number(b.deprecated) || Number(inName(b)) - Number(inName(a))).slice(0, SHOWN_MAX);
      const groups = new Map<string, TypeInfo[]>();
      for (const each of found) groups.set(each.group, [...(groups.get(each.group) ?? []), each]);
      list.replaceChildren(...[...groups].map(([group, types]) => make("section", {}, make("h3", {}, group), make("ul", {}, ...types.map(entry)))));
      count.textContent = fill(words.types_found, { n: found.length });
      if (!found.length) list.append(make("p", { class: "dim" }, words.no_type));
    };
    const entry = (each: TypeInfo): HTMLElement => {
      const pick = make("button", { type: "button", class: "nc-type" }, make("b", {}, each.short.split(".").pop() ?? each.short, each.deprecated ? make("small", { class: "label" }, words.deprecated) : null), make("span", {}, ...prose(each.about.split("\n\n")[0]!)));
      pick.addEventListener("click", () => { chosen = each; dialog.close(); });
      return make("li", {}, pick, make("a", { href: `/plugins/${encodeURIComponent(each.full)}`, target: "_blank", "aria-label": fill(words.docs_of, { type: each.short }) }, "?"));
    };
    search.addEventListener("input", draw);
    search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { event.preventDefault(); list.querySelector<HTMLElement>(".nc-type")?.click(); }
      if (event.key === "ArrowDown") { event.preventDefault(); list.querySelector<HTMLElement>(".nc-type")?.focus(); }
    });
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => { dialog.remove(); resolve(chosen); });
    document.body.append(dialog);
    draw();
    dialog.showModal();
    search.focus();
  });
}
