// The layout of a large graph: each cluster by itself, then as one box in the cluster around it. Fifty clusters of ten tasks are fifty-one small
// layouts instead of one that takes fifteen seconds.
import { Graph as Layout, layout } from "@dagrejs/dagre";
import type { Graph } from "./topology";

interface Point { x: number; y: number }
interface Box extends Point { width: number; height: number }
export interface EdgePlace extends Partial<Point> { points: Point[] }
/** Middles of nodes and boxes by uid; places of edges in the order of the graph. */
export interface Places { width: number; height: number; boxes: Map<string, Box>; edges: EdgePlace[] }

const PAD = 16;
const ROOT = "";

export function nested(graph: Graph, sizeOf: (uid: string) => { width: number; height: number }): Places {
  const inner = graph.clusters.filter((each) => each.parents.length > 0);
  const names = new Set(inner.map((each) => each.cluster.uid));
  const within = new Map<string, string>();
  const members = new Map<string, string[]>([[ROOT, []], ...inner.map((each): [string, string[]] => [each.cluster.uid, []])]);
  for (const each of inner) {
    const parent = each.parents[each.parents.length - 1] ?? ROOT;
    within.set(each.cluster.uid, names.has(parent) ? parent : ROOT);
    for (const uid of each.nodes) if (!names.has(uid)) within.set(uid, each.cluster.uid);
  }
  for (const uid of [...graph.nodes.map((each) => each.uid), ...names]) members.get(within.get(uid) ?? ROOT)?.push(uid);
  const path = (uid: string): string[] => {
    const found = [uid];
    for (let at = within.get(uid); at; at = within.get(at)) found.unshift(at);
    return found;
  };
  // Each edge belongs to the innermost cluster that holds both ends, between what stands there.
  const levels = new Map<string, { index: number; from: string; to: string }[]>();
  graph.edges.forEach((each, index) => {
    const [from, to] = [path(each.source), path(each.target)];
    let depth = 0;
    while (depth < from.length - 1 && depth < to.length - 1 && from[depth] === to[depth]) depth += 1;
    const level = depth === 0 ? ROOT : from[depth - 1]!;
    levels.set(level, [...(levels.get(level) ?? []), { index, from: from[depth]!, to: to[depth]! }]);
  });
  const plans = new Map<string, { plan: Layout; width: number; height: number }>();
  const arrange = (uid: string): { width: number; height: number } => {
    const plan = new Layout({ multigraph: true });
    plan.setGraph({ rankdir: "TB", nodesep: 26, ranksep: 30, marginx: PAD, marginy: PAD, ranker: "longest-path" });
    for (const member of members.get(uid) ?? []) plan.setNode(member, names.has(member) ? arrange(member) : { ...sizeOf(member) });
    for (const each of levels.get(uid) ?? []) {
      const value = graph.edges[each.index]?.relation?.value;
      if (each.from !== each.to) plan.setEdge(each.from, each.to, value ? { width: 7 * Math.min(value.length, 16), height: 14, labelpos: "c" } : {}, `e${each.index}`);
    }
    layout(plan);
    const { width = 2 * PAD, height = 2 * PAD } = plan.graph() as { width?: number; height?: number };
    plans.set(uid, { plan, width, height });
    return { width, height };
  };
  const whole = arrange(ROOT);
  const places: Places = { ...whole, boxes: new Map(), edges: graph.edges.map(() => ({ points: [] })) };
  const collect = (uid: string, left: number, top: number): void => {
    const plan = plans.get(uid)!.plan;
    for (const member of members.get(uid) ?? []) {
      const at = plan.node(member) as Box;
      const box = { x: left + at.x, y: top + at.y, width: at.width, height: at.height };
      places.boxes.set(member, box);
      if (names.has(member)) collect(member, box.x - box.width / 2, box.y - box.height / 2);
    }
    for (const each of levels.get(uid) ?? []) {
      const found = each.from === each.to ? undefined : (plan.edge({ v: each.from, w: each.to, name: `e${each.index}` }) as EdgePlace | undefined);
      if (!found) continue;
      const place: EdgePlace = { points: found.points.map((point) => ({ x: left + point.x, y: top + point.y })) };
      if (found.x !== undefined && found.y !== undefined) Object.assign(place, { x: left + found.x, y: top + found.y });
      places.edges[each.index] = place;
    }
  };
  collect(ROOT, 0, 0);
  graph.edges.forEach((each, index) => { // from and to the nodes themselves, not the boxes around them
    const place = places.edges[index]!;
    const [from, to] = [places.boxes.get(each.source), places.boxes.get(each.target)];
    if (from && to && place.points.length > 0) {
      if (within.get(each.source) !== within.get(each.target) || names.has(each.source)) {
        place.points = [{ x: from.x, y: from.y + from.height / 2 }, ...place.points, { x: to.x, y: to.y - to.height / 2 }];
      }
    }
  });
  return places;
}
