// The topology beside the text, kept live: asked of the server once the checks found no mistake, left as it was while the text has mistakes.
import { editor as words } from "../../../../strings.json";
import { fill, make } from "../dom";
import { drawTopology, type Graph } from "../topology";
import { graph } from "./server";

const QUIET_MS = 50;
/** Beyond, drawing would hold up who types; the page of the flow draws all. */
const NODES_MAX = 400;

/** Draw the text's flow in a host; `chosen` is told which task somebody points at. */
export function livePicture(host: HTMLElement, text: () => string, chosen: (id: string) => void): { update(): void; select(id: string | null): void } {
  let drawn: ReturnType<typeof drawTopology> | null = null;
  let timer = 0;
  let asking: AbortController | null = null;
  let selected: string | null = null;
  const note = make("p", { class: "pad dim", hidden: true });
  const pane = make("div", { class: "ed-picture" });
  host.replaceChildren(note, pane);
  const draw = async (): Promise<void> => {
    asking?.abort();
    const mine = asking = new AbortController();
    try {
      const found = (await graph(text(), mine.signal)) as Graph;
      if (mine.signal.aborted) return;
      if (found.nodes.length > NODES_MAX) {
        note.hidden = false;
        note.textContent = fill(words.picture_too_large, { n: found.nodes.length });
        return;
      }
      if (drawn) drawn.update(found);
      else drawn = drawTopology(pane, found, { onSelect: (id) => { if (id) chosen(id); } });
      note.hidden = true;
      if (selected) drawn.select(selected);
    } catch {
      if (mine.signal.aborted) return;
      note.hidden = false;
      note.textContent = words.picture_failed;
    }
  };
  return {
    update: () => { clearTimeout(timer); timer = window.setTimeout(() => void draw(), QUIET_MS); },
    select: (id) => { if (id !== selected) { selected = id; if (id) drawn?.select(id); } },
  };
}
