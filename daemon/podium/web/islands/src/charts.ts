// The page of a dashboard: draws charts over their tables, and fetches those that the server did not wait for.
import { dashboards as words } from "../../strings.json";
import { drawAll } from "./lib/charts";
import { every, make } from "./lib/dom";

async function late(card: HTMLElement): Promise<void> {
  const address = card.dataset.late;
  if (!address) return;
  delete card.dataset.late;
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const found = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".chart");
    if (!found) throw new Error("empty");
    card.replaceWith(found);
    drawAll(found.parentElement ?? document);
  } catch {
    card.querySelector("[role=status]")?.replaceWith(make("p", { class: "error-text", role: "alert" }, words.not_fetched));
  }
}

drawAll();
void (async () => { for (const card of every("[data-late]")) await late(card); })();
