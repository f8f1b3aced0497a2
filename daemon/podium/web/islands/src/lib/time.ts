// Times as the reader wants them: how long ago (and that kept true), on the clock of the reader's zone, or UTC. The other two are on hover.
import { shell } from "../../../strings.json";
import { every, fill } from "./dom";

export type Times = "relative" | "exact" | "utc";
const UNITS: readonly (readonly [number, string])[] = [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]];
const local = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });
const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;

export function timesWanted(): Times {
  try {
    const found = localStorage.getItem("podium-times");
    return found === "exact" || found === "utc" ? found : "relative";
  } catch {
    return "relative";
  }
}

/** "5 min ago", "in 2 h". */
export function ago(then: number, now: number = Date.now()): string {
  const seconds = (now - then) / 1000;
  const size = Math.abs(seconds);
  if (size < 10) return shell.just_now;
  const [length, unit] = UNITS.find(([least]) => size >= least) ?? [1, "s"];
  const time = `${Math.floor(size / length)} ${unit}`;
  return fill(seconds > 0 ? shell.ago : shell.in_time, { time });
}

/** 2026-01-05 07:00:00 on the reader's clock. */
export const onClock = (then: number): string => local.format(then);
const inUtc = (then: number): string => new Date(then).toISOString().slice(0, 19).replace("T", " ");

const SHORT: Record<string, Intl.DateTimeFormat> = {
  clock: new Intl.DateTimeFormat("sv-SE", { hour: "2-digit", minute: "2-digit" }), day: new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" }),
};

/** All times below `root`, as they are wanted. */
export function showTimes(root: ParentNode = document): void {
  const wanted = timesWanted();
  const now = Date.now();
  for (const each of every<HTMLTimeElement>("time[datetime]", root)) {
    const then = Date.parse(each.dateTime);
    if (Number.isNaN(then) || each.dataset.as === "is") continue;
    const short = SHORT[each.dataset.as ?? ""]; // of an axis
    const text = short ? short.format(then) : wanted === "relative" ? ago(then, now) : wanted === "exact" ? onClock(then) : inUtc(then);
    if (each.textContent !== text) each.textContent = text;
    const exact = `${onClock(then)} ${zone} · ${inUtc(then)} UTC${wanted === "relative" ? "" : ` · ${ago(then, now)}`}`;
    if (each.title !== exact) each.title = exact;
  }
}

/** Keep them true. */
export function keepTimes(): void {
  showTimes();
  setInterval(() => { if (!document.hidden) showTimes(); }, 15_000);
}
