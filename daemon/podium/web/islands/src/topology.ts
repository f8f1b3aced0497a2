// Draws each [data-topology] of a page: a graph in a JSON block of that id, or fetched from data-graph; data-details is filled with what is chosen.
import { topology as words } from "../../strings.json";
import { every, find, make, toast } from "./lib/dom";
import { drawTopology, type Graph, type GraphNode } from "./lib/topology";

async function graphOf(host: HTMLElement): Promise<Graph> {
  const block = host.dataset.topology ? find(`#${CSS.escape(host.dataset.topology)}`) : null;
  if (block) return JSON.parse(block.textContent ?? "") as Graph;
  const answer = await fetch(host.dataset.graph ?? "", { headers: { Accept: "application/json" } });
  const body = (await answer.json()) as Graph & { message?: string };
  if (!answer.ok) throw new Error(body.message ?? answer.statusText);
  return body;
}

function details(place: HTMLElement, node: GraphNode | null): void {
  const facts = node?.task ?? node?.triggerDeclaration;
  if (!facts) {
    place.replaceChildren(make("p", { class: "dim" }, words.choose));
    return;
  }
  const list = make("dl", { class: "values" });
  for (const [key, value] of Object.entries(facts)) {
    const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
    list.append(make("dt", {}, key), make("dd", {}, text.includes("\n") ? make("pre", {}, text) : make("span", { class: "mono" }, text)));
  }
  const links = make("p", { class: "buttons" });
  if (node?.subflow) links.append(make("a", { class: "button small", href: `/flows/${encodeURIComponent(node.subflow.namespace)}/${encodeURIComponent(node.subflow.flowId)}` }, words.open_subflow));
  links.append(make("a", { class: "button small", href: `/plugins/${encodeURIComponent(facts.type)}` }, words.docs));
  place.replaceChildren(make("h3", {}, facts.id), list, links);
}

for (const host of every("[data-topology], [data-graph]")) {
  graphOf(host).then((graph) => {
    const place = find(`#${CSS.escape(host.dataset.details ?? "none")}`);
    if (place) details(place, null);
    drawTopology(host, graph, { name: host.dataset.name ?? "topology", onSelect: (_id, node) => { if (place) details(place, node); } });
  }).catch((error: unknown) => toast(error instanceof Error ? error.message : String(error), "bad"));
}
