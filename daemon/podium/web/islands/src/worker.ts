// One stream of changes for all tabs of a browser: HTTP/1.1 allows six connections a host, and twenty tabs want twenty. The stream is open
// while a tab is looked at; changes go to all tabs in batches.
import type { Change, News } from "./lib/live";

interface Tab { port: MessagePort; seen: number; looked: boolean }

const PACE_MS = 250;
const FORGOTTEN_MS = 100_000;
const tabs = new Set<Tab>();
let source: EventSource | null = null;
let up = true;

function tell(news: News): void {
  for (const tab of tabs) tab.port.postMessage(news);
}

function listen(): void {
  if (source) return;
  source = new EventSource(`/api/v1/events?paceMs=${PACE_MS}`);
  source.onopen = () => {
    up = true;
    tell({ kind: "up" });
    tell({ kind: "reset" }); // what changed since the pages were made was told to nobody
  };
  source.onerror = () => {
    up = false;
    tell({ kind: "down" });
    if (source?.readyState === EventSource.CLOSED) { // refused: too many streams, or logged out
      source = null;
      setTimeout(consider, 10_000);
    }
  };
  source.onmessage = (event: MessageEvent<string>) => {
    tell({ kind: "changes", changes: JSON.parse(event.data) as Change[] });
  };
  source.addEventListener("reset", () => tell({ kind: "reset" }));
}

function consider(): void {
  const least = Date.now() - FORGOTTEN_MS;
  for (const tab of tabs) if (tab.looked && tab.seen < least) tab.looked = false; // it died without a word
  if ([...tabs].some((tab) => tab.looked)) listen();
  else {
    source?.close();
    source = null;
  }
}

(self as unknown as { onconnect: (event: MessageEvent) => void }).onconnect = (event) => {
  const port = event.ports[0];
  if (!port) return;
  const tab: Tab = { port, seen: Date.now(), looked: true };
  tabs.add(tab);
  port.onmessage = (message: MessageEvent<string>) => {
    const away = !tab.looked;
    tab.seen = Date.now();
    tab.looked = message.data === "here";
    if (message.data === "bye") tabs.delete(tab);
    else tabs.add(tab);
    if (tab.looked && away) port.postMessage({ kind: "reset" } satisfies News);
    consider();
  };
  port.start();
  if (!up) port.postMessage({ kind: "down" } satisfies News);
  if (source?.readyState === EventSource.OPEN) port.postMessage({ kind: "reset" } satisfies News);
  consider();
};
setInterval(consider, 30_000);
