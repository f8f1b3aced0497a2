// The tree of a repository's files beside the text.
import { editor as words } from "../../../../strings.json";
import { fill, make } from "../dom";
import { Refused, tree, type FileInfo } from "./server";

interface Folder { folders: Map<string, Folder>; files: FileInfo[] }
const SHOWN_MAX = 2_000;

export function address(source: string, path: string, branch: string | null): string {
  const query = new URLSearchParams({ path, ...(branch ? { branch } : {}) });
  return `/editor/${encodeURIComponent(source)}?${query.toString().replaceAll("%2F", "/")}`;
}

/** Fill the panel with the files of a branch. branch: as the address names it, null for the deployed one. */
export async function showFiles(host: HTMLElement, source: string, branch: string, asked: string | null, current: string): Promise<void> {
  const filter = make("input", { type: "search", placeholder: words.filter_files, "aria-label": words.filter_files, autocomplete: "off" });
  const list = make("div", { class: "ed-tree" });
  const path = make("input", { name: "path", required: true, placeholder: "scripts/load.py", "aria-label": words.path, autocomplete: "off" });
  const form = make("form", { class: "ed-new" }, path, make("button", { class: "button small" }, words.new_file));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = path.value.trim().replace(/^\/+/, "");
    if (wanted) location.href = `${address(source, wanted, asked)}${known.has(wanted) ? "" : "&new=true"}`;
  });
  const known = new Set<string>();
  host.replaceChildren(make("h2", {}, source), filter, list, form);
  try {
    const found = await tree(source, branch);
    for (const each of found.files) known.add(each.path);
    const draw = (): void => {
      const wanted = filter.value.trim().toLowerCase();
      const shown = wanted ? found.files.filter((each) => each.path.toLowerCase().includes(wanted)) : found.files;
      if (wanted) list.replaceChildren(flat(shown.slice(0, SHOWN_MAX), source, asked, current));
      else list.replaceChildren(nested(folder(shown.slice(0, SHOWN_MAX)), "", source, asked, current));
      if (shown.length > SHOWN_MAX) list.append(make("p", { class: "dim" }, fill(words.more_files, { n: shown.length - SHOWN_MAX })));
      if (!shown.length) list.append(make("p", { class: "dim" }, words.no_file));
    };
    filter.addEventListener("input", draw);
    draw();
    const here = list.querySelector("[aria-current]");
    if (here) list.scrollTop = Math.max(0, (here as HTMLElement).offsetTop - list.clientHeight / 2);
  } catch (error) {
    list.replaceChildren(make("p", { class: "error-text" }, error instanceof Refused ? error.message : String(error)));
  }
}

function folder(files: readonly FileInfo[]): Folder {
  const root: Folder = { folders: new Map(), files: [] };
  for (const each of files) {
    let place = root;
    for (const name of each.path.split("/").slice(0, -1)) {
      if (!place.folders.has(name)) place.folders.set(name, { folders: new Map(), files: [] });
      place = place.folders.get(name)!;
    }
    place.files.push(each);
  }
  return root;
}

function nested(place: Folder, prefix: string, source: string, asked: string | null, current: string): HTMLElement {
  const folders = [...place.folders].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, inner]) => {
    const path = `${prefix}${name}/`;
    return make("li", {}, make("details", { open: current.startsWith(path) || place.folders.size + place.files.length < 4 }, make("summary", {}, name), nested(inner, path, source, asked, current)));
  });
  return make("ul", {}, ...folders, ...place.files.map((each) => make("li", {}, link(each, each.path.slice(prefix.length), source, asked, current))));
}

function flat(files: readonly FileInfo[], source: string, asked: string | null, current: string): HTMLElement {
  return make("ul", {}, ...files.map((each) => make("li", {}, link(each, each.path, source, asked, current))));
}

function link(each: FileInfo, name: string, source: string, asked: string | null, current: string): HTMLElement {
  return make("a", { href: address(source, each.path, asked), class: `file k-${each.kind.replace(/\W/g, "")}`, "aria-current": each.path === current ? "page" : null, title: each.path }, name);
}
