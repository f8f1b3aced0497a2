// Draws a chart over its rows. Colours come from the page's own variables, so that light and dark, and people who see colours differently, are
// served: series also differ by hatching, dashes and the shape of points. With the keyboard: arrows go from value to value, which is said.
import {
  ArcElement, BarController, BarElement, CategoryScale, Chart, DoughnutController, Filler, Legend, LinearScale, LineController, LineElement,
  PieController, PointElement, Tooltip, type ChartConfiguration, type ChartDataset,
} from "chart.js";
import { dashboards as words } from "../../../strings.json";
import { every, fill, make, stateWord } from "./dom";

Chart.register(
  ArcElement, BarController, BarElement, CategoryScale, DoughnutController, Filler, Legend, LinearScale, LineController, LineElement, PieController,
  PointElement, Tooltip,
);

type Value = string | number | null;
export interface PlotColumn { key: string; name: string; agg: string | null; style: string | null; field: string | null; state: boolean }
export interface Plot {
  kind: "TimeSeries" | "Bar" | "Pie"; columns: PlotColumn[]; rows: Record<string, Value>[]; axis: string | null; color: string | null;
  bucket: string; legend: boolean; tooltip: string; style: string;
}

const SERIES_MAX = 20;
const PALETTE: [string, string][] = [ // light, dark; told apart by people who do not see all colours
  ["#0072b2", "#56b4e9"], ["#d55e00", "#f08a3c"], ["#009e73", "#3ccda0"], ["#8a5bb0", "#c79bea"], ["#a06a00", "#e69f00"], ["#5a6271", "#a6aebc"], ["#b5467f", "#e58bb9"],
];
const STATES: Record<string, string> = {
  SUCCESS: "--ok-fill", WARNING: "--warn-fill", FAILED: "--bad-fill", KILLED: "--off-fill", KILLING: "--off-fill", CANCELLED: "--off-fill",
  RUNNING: "--run-fill", RETRYING: "--run-fill", RESTARTED: "--run-fill", QUEUED: "--wait-fill", PAUSED: "--wait-fill", CREATED: "--wait-fill",
};
const POINTS = ["circle", "triangle", "rect", "rectRot", "star", "cross", "dash"] as const;

function dark(): boolean {
  return getComputedStyle(document.documentElement).colorScheme === "dark"
    || (document.documentElement.dataset.theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
}

/** A variable of the page as a colour: `light-dark()` is only known to the browser. */
function colour(name: string): string {
  const probe = make("i", { hidden: true });
  document.body.append(probe);
  probe.style.color = `var(${name})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function colourOf(value: string, index: number): string {
  const state = STATES[value];
  if (state) return colour(state);
  const pair = PALETTE[index % PALETTE.length] ?? ["#0072b2", "#56b4e9"];
  return dark() ? pair[1] : pair[0];
}

/** A colour with stripes: every other series, and what failed. */
function hatched(base: string, index: number): CanvasPattern | string {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const pen = tile.getContext("2d");
  if (!pen) return base;
  pen.fillStyle = base;
  pen.fillRect(0, 0, 8, 8);
  pen.strokeStyle = "rgb(255 255 255 / 45%)";
  pen.lineWidth = 1.5;
  pen.beginPath();
  if (index % 4 === 1) { pen.moveTo(0, 8); pen.lineTo(8, 0); } else { pen.moveTo(0, 4); pen.lineTo(8, 4); }
  pen.stroke();
  return pen.createPattern(tile, "repeat") ?? base;
}

const surface = (value: string, index: number): CanvasPattern | string => (index % 2 === 1 ? hatched(colourOf(value, index), index) : colourOf(value, index));

function shown(value: Value | undefined, column: PlotColumn | undefined): string {
  if (value === null || value === undefined) return words.none;
  return column?.state ? stateWord(String(value)) : String(value);
}

function axisText(value: string, bucket: string): string {
  if (bucket === "minute") return value.slice(11, 16);
  if (bucket === "hour") return value.slice(5, 16).replace("T", " ");
  return value.slice(0, 10);
}

/** The rows as series: one a value of `color` and counted column. */
function series(plot: Plot): { labels: string[]; datasets: ChartDataset<"bar" | "line", (number | null)[]>[] } {
  const measures = plot.columns.filter((each) => each.agg);
  const column = plot.columns.find((each) => each.key === plot.axis);
  const split = plot.columns.find((each) => each.key === plot.color);
  const places = [...new Set(plot.rows.map((row) => String(row[plot.axis ?? ""] ?? "")))];
  const at = new Map(places.map((place, index) => [place, index]));
  const weight = new Map<string, number>();
  for (const row of plot.rows) {
    const value = split ? row[split.key] : "";
    if (value !== null && value !== undefined) weight.set(String(value), (weight.get(String(value)) ?? 0) + Number(row[measures[0]?.key ?? ""] ?? 0));
  }
  const values = [...weight.keys()].sort((a, b) => (weight.get(b) ?? 0) - (weight.get(a) ?? 0)).slice(0, SERIES_MAX);
  const datasets: ChartDataset<"bar" | "line", (number | null)[]>[] = [];
  measures.forEach((measure, number) => {
    const lines = measure.style === "LINES" || measure.style === "POINTS" || (measure.style === null && plot.kind === "TimeSeries" && number > 0);
    const parts = lines && number > 0 ? [""] : split ? values : [""]; // a second measure is one line over all
    parts.forEach((value, index) => {
      const sums: (number | null)[] = places.map(() => null);
      const counts: number[] = places.map(() => 0);
      for (const row of plot.rows) {
        if (parts.length && value !== "" && split && String(row[split.key]) !== value) continue;
        const place = at.get(String(row[plot.axis ?? ""] ?? ""));
        const amount = row[measure.key];
        if (place === undefined || amount === null || amount === undefined) continue;
        sums[place] = (sums[place] ?? 0) + Number(amount);
        counts[place] = (counts[place] ?? 0) + 1;
      }
      const data = measure.agg === "AVG" ? sums.map((sum, place) => (sum === null ? null : sum / (counts[place] || 1))) : sums;
      const name = value === "" ? measure.name : shown(value, split);
      const tone = lines ? (number > 0 ? colour("--text") : colourOf(value, index)) : colourOf(value, index);
      datasets.push({
        type: lines ? "line" : "bar", label: measures.length > 1 && value !== "" ? `${name} · ${measure.name}` : name, data, yAxisID: number === 0 ? "y" : "y2",
        backgroundColor: lines ? tone : surface(value, index), borderColor: tone, borderWidth: lines ? 2 : 0, order: lines ? 0 : 1,
        ...(lines ? { pointStyle: POINTS[index % POINTS.length], borderDash: index % 2 ? [6, 3] : [], tension: 0.2, spanGaps: true, showLine: measure.style !== "POINTS", pointRadius: 2 } : { maxBarThickness: 40 }),
      } as ChartDataset<"bar" | "line", (number | null)[]>);
    });
  });
  return { labels: places.map((place) => (plot.kind === "TimeSeries" ? axisText(place, plot.bucket) : shown(place, column))), datasets };
}

function configuration(plot: Plot): ChartConfiguration {
  const text = colour("--dim");
  const line = colour("--line");
  const common = {
    responsive: true, maintainAspectRatio: false, animation: false as const, color: text, font: { family: "system-ui, sans-serif" },
    plugins: { legend: { display: plot.legend, position: "bottom" as const, labels: { color: text, boxWidth: 12, usePointStyle: false } }, tooltip: { enabled: plot.tooltip !== "NONE" } },
  };
  const measures = plot.columns.filter((each) => each.agg);
  if (plot.kind === "Pie") {
    const column = plot.columns.find((each) => each.key === plot.axis);
    const rows = plot.rows.slice(0, SERIES_MAX);
    const rest = plot.rows.slice(SERIES_MAX).reduce((sum, row) => sum + Number(row[measures[0]?.key ?? ""] ?? 0), 0);
    const labels = rows.map((row) => shown(row[plot.axis ?? ""], column));
    const data = rows.map((row) => Number(row[measures[0]?.key ?? ""] ?? 0));
    const fills = rows.map((row, index) => surface(String(row[plot.axis ?? ""] ?? ""), index));
    if (rest) { labels.push(words.other); data.push(rest); fills.push(colour("--off-fill")); }
    return {
      type: plot.style === "PIE" ? "pie" : "doughnut",
      data: { labels, datasets: [{ data, backgroundColor: fills, borderColor: colour("--card"), borderWidth: 2 }] },
      options: { ...common, plugins: { ...common.plugins, legend: { ...common.plugins.legend, position: "right" } } },
    };
  }
  const made = series(plot);
  const grid = { color: line };
  const second = made.datasets.some((each) => (each as { yAxisID?: string }).yAxisID === "y2");
  return {
    type: "bar", data: made,
    options: {
      ...common, interaction: { mode: plot.tooltip === "SINGLE" ? "nearest" : "index", intersect: false },
      scales: {
        x: { stacked: true, ticks: { color: text, maxRotation: 45, autoSkip: true }, grid: { display: false } },
        y: { stacked: true, beginAtZero: true, ticks: { color: text, precision: 0 }, grid, title: { display: second, text: measures[0]?.name ?? "", color: text } },
        ...(second ? { y2: { position: "right" as const, beginAtZero: true, ticks: { color: text }, grid: { display: false }, title: { display: true, text: measures[1]?.name ?? "", color: text } } } : {}),
      },
    },
  };
}

/** Draw into `host`. Drawn anew when the colours of the page change. */
export function drawChart(host: HTMLElement, plot: Plot, title: string): { destroy(): void } {
  const canvas = make("canvas", { role: "img", tabindex: 0, "aria-label": fill(words.drawn, { title }) });
  const said = make("p", { class: "hidden", "aria-live": "polite" });
  host.replaceChildren(canvas, said);
  let chart = new Chart(canvas, configuration(plot));
  let place = -1;
  canvas.addEventListener("keydown", (event) => {
    const count = chart.data.labels?.length ?? 0;
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step || !count) return;
    event.preventDefault();
    place = Math.min(count - 1, Math.max(0, place + step));
    const active = chart.data.datasets.map((_, datasetIndex) => ({ datasetIndex, index: place })).filter((each) => chart.getDatasetMeta(each.datasetIndex).data[place]);
    chart.setActiveElements(active);
    chart.tooltip?.setActiveElements(active, { x: 0, y: 0 });
    chart.update("none");
    const parts = chart.data.datasets.map((each) => [each.label ?? "", each.data[place]] as const).filter((each) => each[1] !== null && each[1] !== undefined && each[1] !== 0);
    said.textContent = `${String(chart.data.labels?.[place] ?? "")}: ${parts.map(([name, value]) => `${name ? `${name} ` : ""}${Math.round(Number(value) * 100) / 100}`).join(", ") || "0"}`;
  });
  const again = (): void => { chart.destroy(); chart = new Chart(canvas, configuration(plot)); };
  const watch = new MutationObserver(again);
  watch.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", again);
  return { destroy: () => { watch.disconnect(); scheme.removeEventListener("change", again); chart.destroy(); } };
}

/** Draw every chart below `root` that has its rows beside it, and fold these away. */
export function drawAll(root: ParentNode = document): void {
  for (const host of every("[data-plot]", root)) {
    const card = host.closest(".chart");
    const data = card?.querySelector('script[type="application/json"]')?.textContent;
    if (!data || host.childElementCount) continue;
    host.hidden = false;
    drawChart(host, JSON.parse(data) as Plot, card?.getAttribute("aria-label") ?? "");
    card?.querySelector("details.rows")?.removeAttribute("open");
  }
}
