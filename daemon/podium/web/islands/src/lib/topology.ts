// The topology of a flow: laid out by dagre, drawn as SVG, with states that change while it runs.
// Used by the pages of flows and executions and by the editor. What always holds: every node can be reached by keyboard, colour never stands alone.
import { Graph as Layout, layout } from "@dagrejs/dagre";
import { topology as words } from "../../../strings.json";
import { fill, make, stateWord } from "./dom";
import { kindSign } from "./kinds";
import { nested } from "./nested";

export interface GraphNode {
  uid: string;
  type: string;
  task?: { id: string; type: string; description?: string; disabled?: boolean; [property: string]: unknown };
  triggerDeclaration?: { id: string; type: string; disabled?: boolean };
  subflow?: { namespace: string; flowId: string; revision?: number };
}
export interface GraphEdge { source: string; target: string; relation?: { relationType: string; value?: string } }
export interface GraphCluster { cluster: { uid: string; type: string; taskNode?: { uid: string } }; nodes: string[]; parents: string[]; start: string; end: string }
export interface Graph { nodes: GraphNode[]; edges: GraphEdge[]; clusters: GraphCluster[]; flowables?: string[]; states?: Record<string, State> }
/** What the runs of a task are doing. state: of the run that matters most. */
export interface State { state: string; counts: Record<string, number>; taskRunId?: string }
export interface Options {
  /** A node was chosen: its task or trigger, or null when the choice was taken back. */
  onSelect?: (id: string | null, node: GraphNode | null) => void;
  states?: Map<string, State>;
  /** Name of the file that is saved. */
  name?: string;
}
export interface Topology {
  update(graph: Graph): void;
  setStates(states: Map<string, State>): void;
  select(id: string | null): void;
  destroy(): void;
}

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 208;
const HEIGHT = 46;
const LETTERS = 24;
const MANY = 160; // nodes, from which on clusters are laid out one by one
const KIND_PLACE = "scale(.5) translate(-12 -12)"; // a sign of 24 in the circle
const ZOOM = { least: 0.1, most: 2.5, step: 1.25 };
const GLYPHS: Record<string, string> = {
  SUCCESS: "m-4 0 3 3 5-6", FAILED: "m-3.5-3.5 7 7m0-7-7 7", WARNING: "M0-4v5m0 2.6v.2", RUNNING: "M-3-4 4 0-3 4z", PAUSED: "M-2.5-4v8M2.5-4v8", KILLED: "M-3.5-3.5h7v7h-7z",
  SKIPPED: "M-4 0h8", QUEUED: "M0-4V0l3 2", CREATED: "M0-4V0l3 2", RETRYING: "M4-1a4 4 0 1 0 0 2", CANCELLED: "m-4 4 8-8",
};

function draw<Name extends keyof SVGElementTagNameMap>(name: Name, attributes: Record<string, string | number>, ...children: Node[]): SVGElementTagNameMap[Name] {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children);
  return made;
}

const cut = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
const shortType = (type: string): string => type.split(".").slice(-2).join(".").replace(/^(flow|log|debug|trigger|core)\./, "");
const idOf = (node: GraphNode): string => node.task?.id ?? node.triggerDeclaration?.id ?? "";
const isPoint = (node: GraphNode): boolean => !node.task && !node.triggerDeclaration;

export function drawTopology(host: HTMLElement, first: Graph, options: Options = {}): Topology {
  let graph = first;
  let states = options.states ?? new Map(Object.entries(first.states ?? {}));
  let chosen: string | null = null;
  let view = { x: 0, y: 0, zoom: 1 };
  let size = { width: 1, height: 1 };
  let shape = "";
  const groups = new Map<string, SVGGElement>();
  const world = draw("g", {});
  const arrow = draw("marker", { id: `arrow-${crypto.randomUUID()}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" }, draw("path", { d: "M0 1 7 4 0 7z", class: "topo-arrow" }));
  const svg = draw("svg", { class: "topo-svg", role: "group", "aria-label": words.label }, draw("defs", {}, arrow), world);
  const button = (sign: string, label: string, act: () => void): HTMLButtonElement => {
    const made = make("button", { type: "button", class: "button small", "aria-label": label, title: label }, sign);
    made.addEventListener("click", act);
    return made;
  };
  const tools = make(
    "div", { class: "topo-tools", role: "toolbar", "aria-label": words.tools },
    button("+", words.zoom_in, () => zoomBy(ZOOM.step)), button("−", words.zoom_out, () => zoomBy(1 / ZOOM.step)), button("⤢", words.fit, fit), button("⤓", words.save, save),
  );
  host.classList.add("topo");
  host.replaceChildren(svg, tools);

  function relayout(): void {
    if (graph.nodes.length > MANY) relayoutLarge();
    else relayoutWhole();
    paint();
    fit();
  }

  function relayoutLarge(): void {
    const ends = new Set(graph.nodes.filter(isPoint).map((each) => each.uid));
    const places = nested(graph, (uid) => (ends.has(uid) ? { width: 10, height: 10 } : { width: WIDTH, height: HEIGHT }));
    size = { width: places.width, height: places.height };
    groups.clear();
    const boxes = graph.clusters.flatMap((each) => {
      const place = places.boxes.get(each.cluster.uid);
      return place ? [draw("rect", { class: "topo-box", x: place.x - place.width / 2, y: place.y - place.height / 2, width: place.width, height: place.height, rx: 10 })] : [];
    });
    const lines = graph.edges.map((each, index) => line(each, places.edges[index] ?? { points: [] }));
    world.replaceChildren(...boxes, ...lines, ...graph.nodes.map((each) => node(each, places.boxes.get(each.uid) ?? {})));
  }

  function relayoutWhole(): void {
    const plan = new Layout({ compound: true, multigraph: true });
    plan.setGraph({ rankdir: "TB", nodesep: 26, ranksep: 30, marginx: 16, marginy: 16, ranker: "network-simplex" });
    plan.setDefaultEdgeLabel(() => ({}));
    for (const each of graph.nodes) plan.setNode(each.uid, isPoint(each) ? { width: 10, height: 10 } : { width: WIDTH, height: HEIGHT });
    const inner = graph.clusters.filter((each) => each.parents.length > 0);
    for (const each of inner) plan.setNode(each.cluster.uid, {});
    for (const each of inner) {
      for (const uid of each.nodes) plan.setParent(uid, each.cluster.uid);
      const parent = each.parents[each.parents.length - 1];
      if (parent && inner.some((other) => other.cluster.uid === parent)) plan.setParent(each.cluster.uid, parent);
    }
    graph.edges.forEach((each, index) => {
      const value = each.relation?.value;
      plan.setEdge(each.source, each.target, value ? { width: 7 * Math.min(value.length, 16), height: 14, labelpos: "c" } : {}, `e${index}`);
    });
    layout(plan);
    const whole = plan.graph();
    size = { width: whole.width ?? 1, height: whole.height ?? 1 };
    groups.clear();
    const boxes = inner.map((each) => {
      const place = plan.node(each.cluster.uid);
      return draw("rect", { class: "topo-box", x: place.x! - place.width / 2, y: place.y! - place.height / 2, width: place.width, height: place.height, rx: 10 });
    });
    const lines = graph.edges.map((each, index) => line(each, plan.edge({ v: each.source, w: each.target, name: `e${index}` })));
    const nodes = graph.nodes.map((each) => node(each, plan.node(each.uid)));
    world.replaceChildren(...boxes, ...lines, ...nodes);
  }

  function line(edge: GraphEdge, plan: { points?: { x: number; y: number }[]; x?: number; y?: number }): SVGGElement {
    const points = plan.points ?? [];
    const start = points[0] ?? { x: 0, y: 0 };
    let path = `M${start.x} ${start.y}`;
    for (let at = 1; at < points.length - 1; at += 1) {
      const here = points[at]!;
      const next = points[at + 1]!;
      path += at === points.length - 2 ? ` Q${here.x} ${here.y} ${next.x} ${next.y}` : ` Q${here.x} ${here.y} ${(here.x + next.x) / 2} ${(here.y + next.y) / 2}`;
    }
    if (points.length === 2) path += ` L${points[1]!.x} ${points[1]!.y}`;
    const kind = edge.relation?.relationType ?? "";
    const made = draw("g", { class: `topo-edge r-${kind.toLowerCase() || "plain"}` }, draw("path", { d: path, "marker-end": `url(#${arrow.id})` }));
    const value = edge.relation?.value;
    if (value && plan.x !== undefined && plan.y !== undefined) {
      const text = draw("text", { x: plan.x, y: plan.y + 4, "text-anchor": "middle" });
      text.textContent = cut(value, 16);
      made.append(text);
    }
    return made;
  }

  function node(each: GraphNode, place: { x?: number; y?: number }): SVGGElement {
    const at = `translate(${place.x ?? 0} ${place.y ?? 0})`;
    if (isPoint(each)) return draw("g", { class: "topo-point", transform: at, "aria-hidden": "true" }, draw("circle", { r: 4 }));
    const type = each.task?.type ?? each.triggerDeclaration?.type ?? "";
    const name = draw("text", { class: "topo-name", x: -WIDTH / 2 + 34, y: -3 });
    name.textContent = cut(idOf(each), LETTERS);
    const kind = draw("text", { class: "topo-type", x: -WIDTH / 2 + 34, y: 13 });
    kind.textContent = cut(each.subflow ? `${each.subflow.namespace}.${each.subflow.flowId}` : shortType(type), LETTERS + 4);
    const title = draw("title", {});
    title.textContent = `${idOf(each)}\n${type}${each.task?.description ? `\n${each.task.description}` : ""}`;
    const disabled = each.task?.disabled || each.triggerDeclaration?.disabled;
    const made = draw(
      "g", { class: `topo-node${each.triggerDeclaration ? " trigger" : ""}${disabled ? " off" : ""}`, transform: at, tabindex: 0, role: "button", "data-id": idOf(each) },
      title, draw("rect", { x: -WIDTH / 2, y: -HEIGHT / 2, width: WIDTH, height: HEIGHT, rx: 8 }),
      draw("g", { class: "topo-state", transform: `translate(${-WIDTH / 2 + 18} 0)` }, draw("circle", { r: 9 }), draw("path", { d: kindSign(type), transform: KIND_PLACE })),
      name, kind, draw("text", { class: "topo-count", x: WIDTH / 2 - 8, y: -3, "text-anchor": "end" }),
    );
    kind.before(" "); // two words, also for who reads the text without seeing it
    made.addEventListener("click", () => select(chosen === idOf(each) ? null : idOf(each), true));
    groups.set(each.uid, made);
    return made;
  }

  function paint(): void {
    for (const each of graph.nodes) {
      const group = groups.get(each.uid);
      if (!group) continue;
      const known = each.task ? states.get(each.task.id) : undefined;
      for (const name of Array.from(group.classList)) if (name.startsWith("s-")) group.classList.remove(name);
      const glyph = group.querySelector(".topo-state path");
      if (known) {
        group.classList.add(`s-${known.state.replace(/[^A-Z]/g, "")}`);
        glyph?.setAttribute("d", GLYPHS[known.state] ?? "M-3 0h6");
        glyph?.removeAttribute("transform");
      }
      const counts = Object.values(known?.counts ?? {}).reduce((sum, count) => sum + count, 0);
      const ended = known ? counts - ["RUNNING", "CREATED", "QUEUED", "SUBMITTED", "PAUSED", "RETRYING", "KILLING", "RESTARTED"].reduce((sum, name) => sum + (known.counts[name] ?? 0), 0) : 0;
      const text = counts > 1 ? (ended < counts ? `${ended}/${counts}` : `×${counts}`) : "";
      const place = group.querySelector(".topo-count");
      if (place && place.textContent !== text) place.textContent = text;
      // Begins with what is to be read on it, so that who speaks it to the browser is understood.
      const read = Array.from(group.querySelectorAll(":scope > text"), (one) => one.textContent ?? "").filter(Boolean).join(" ");
      group.setAttribute("aria-label", `${read}. ` + fill(each.triggerDeclaration ? words.trigger : known ? words.task_in_state : words.task, { id: idOf(each), type: each.task?.type ?? each.triggerDeclaration?.type ?? "", state: known ? stateWord(known.state) : "" }));
      group.setAttribute("aria-pressed", String(idOf(each) === chosen));
      group.classList.toggle("chosen", idOf(each) === chosen);
    }
  }

  function select(id: string | null, told = false): void {
    chosen = id;
    paint();
    if (told) options.onSelect?.(id, graph.nodes.find((each) => id !== null && idOf(each) === id) ?? null);
  }

  function move(): void {
    world.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.zoom})`);
  }

  function fit(): void {
    const box = svg.getBoundingClientRect();
    if (!box.width || !box.height) return;
    const zoom = Math.max(ZOOM.least, Math.min(1, box.width / size.width, box.height / size.height));
    // A long flow is shown from its beginning at a size that can be read.
    const readable = Math.max(zoom, Math.min(0.7, box.width / size.width));
    view = { zoom: readable, x: (box.width - size.width * readable) / 2, y: Math.max(0, (box.height - size.height * readable) / 2) };
    move();
  }

  function zoomBy(factor: number, at?: { x: number; y: number }): void {
    const box = svg.getBoundingClientRect();
    const point = at ?? { x: box.width / 2, y: box.height / 2 };
    const zoom = Math.max(ZOOM.least, Math.min(ZOOM.most, view.zoom * factor));
    view = { zoom, x: point.x - ((point.x - view.x) * zoom) / view.zoom, y: point.y - ((point.y - view.y) * zoom) / view.zoom };
    move();
  }

  function save(): void {
    const copy = draw("svg", { xmlns: SVG, viewBox: `0 0 ${size.width} ${size.height}`, width: size.width, height: size.height, "font-family": "sans-serif", "font-size": 13 });
    copy.append(...Array.from(svg.querySelectorAll("defs"), (each) => each.cloneNode(true)), world.cloneNode(true));
    copy.lastElementChild?.removeAttribute("transform");
    const drawn = Array.from(world.querySelectorAll("rect, path, circle, text"));
    Array.from(copy.lastElementChild?.querySelectorAll("rect, path, circle, text") ?? []).forEach((each, index) => {
      const look = getComputedStyle(drawn[index]!);
      for (const name of ["fill", "stroke", "stroke-width", "stroke-dasharray", "font-weight", "font-size"]) each.setAttribute(name, look.getPropertyValue(name));
    });
    const link = make("a", { href: URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" })), download: `${options.name ?? "topology"}.svg` });
    link.click();
    URL.revokeObjectURL(link.href);
  }

  function keys(event: KeyboardEvent): void {
    const group = (event.target as Element).closest<SVGGElement>(".topo-node");
    if (event.key === "+" || event.key === "=") zoomBy(ZOOM.step);
    else if (event.key === "-") zoomBy(1 / ZOOM.step);
    else if (event.key === "0") fit();
    else if (group && (event.key === "Enter" || event.key === " ")) group.dispatchEvent(new MouseEvent("click"));
    else if (group && event.key.startsWith("Arrow")) beside(group, event.key)?.focus();
    else if (event.key === "Escape" && chosen !== null) select(null, true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** The nearest node in that direction. */
  function beside(from: SVGGElement, key: string): SVGGElement | undefined {
    const here = from.getBoundingClientRect();
    const [dx, dy] = key === "ArrowUp" ? [0, -1] : key === "ArrowDown" ? [0, 1] : key === "ArrowLeft" ? [-1, 0] : [1, 0];
    let best: SVGGElement | undefined;
    let least = Infinity;
    for (const each of groups.values()) {
      const there = each.getBoundingClientRect();
      const along = (there.x - here.x) * dx! + (there.y - here.y) * dy!;
      const aside = Math.abs((there.x - here.x) * dy!) + Math.abs((there.y - here.y) * dx!);
      if (each !== from && along > 1 && along + 2 * aside < least) [best, least] = [each, along + 2 * aside];
    }
    return best;
  }

  let grip: { id: number; x: number; y: number } | null = null;
  const stop = new AbortController();
  const on = { signal: stop.signal };
  svg.addEventListener("keydown", keys, on);
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls; with Ctrl, or a pinch, it zooms
    event.preventDefault();
    const box = svg.getBoundingClientRect();
    zoomBy(Math.exp(-event.deltaY / 300), { x: event.clientX - box.x, y: event.clientY - box.y });
  }, { ...on, passive: false });
  svg.addEventListener("pointerdown", (event) => { if (event.button === 0) grip = { id: event.pointerId, x: event.clientX, y: event.clientY }; }, on);
  svg.addEventListener("pointermove", (event) => {
    if (grip?.id !== event.pointerId) return;
    if (Math.hypot(event.clientX - grip.x, event.clientY - grip.y) > 3 && !svg.hasPointerCapture(event.pointerId)) svg.setPointerCapture(event.pointerId);
    if (!svg.hasPointerCapture(event.pointerId)) return;
    view = { ...view, x: view.x + event.clientX - grip.x, y: view.y + event.clientY - grip.y };
    grip = { id: event.pointerId, x: event.clientX, y: event.clientY };
    move();
  }, on);
  for (const name of ["pointerup", "pointercancel"] as const) svg.addEventListener(name, () => { grip = null; }, on);
  const watch = new ResizeObserver(() => fit());
  const shapeOf = (each: Graph): string => JSON.stringify([each.nodes.map((one) => [one.uid, one.type, one.task?.type, one.task?.disabled, one.triggerDeclaration?.disabled]), each.edges]);
  shape = shapeOf(graph);
  relayout();
  watch.observe(svg);

  return {
    update(next) {
      graph = next;
      if (next.states) states = new Map(Object.entries(next.states));
      const fresh = shapeOf(next);
      if (fresh === shape) return paint();
      shape = fresh;
      relayout();
    },
    setStates(next) {
      states = next;
      paint();
    },
    select: (id) => select(id),
    destroy() {
      stop.abort();
      watch.disconnect();
      host.replaceChildren();
    },
  };
}
