// Asks the copilot over the API and reads its events as they come.
export interface Problem { line: number; message: string; path: string; code: string }
export interface Turn { prompt: string; source: string }
export interface Wanted { prompt: string; flow: string; namespace: string; mask: boolean; history: Turn[] }
export type Progress =
  | { kind: "context"; types: string[]; tokens: number; masked: number }
  | { kind: "round"; round: number; of: number }
  | { kind: "text"; round: number; chars: number }
  | { kind: "checked"; round: number; problems: Problem[] };
export interface Answer { kind: "end"; source: string; problems: Problem[]; rounds: number; said: string; model: string }

interface Body { message?: string; hint?: string; code?: string; retryAfterS?: number; _embedded?: { errors?: { message: string }[] } }

/** What the server or the model's provider says went wrong. */
export class Refused extends Error {
  readonly code: string;
  readonly hint: string;
  readonly retryAfterS: number;
  readonly errors: { message: string }[];

  constructor(body: Body, status: string) {
    super(body.message ?? status);
    this.code = body.code ?? "";
    this.hint = body.hint ?? "";
    this.retryAfterS = body.retryAfterS ?? 0;
    this.errors = body._embedded?.errors ?? [];
  }
}

/** One event of a stream of server-sent events. */
export function readEvent(block: string): { name: string; data: string } | null {
  let name = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
  }
  return data.length ? { name, data: data.join("\n") } : null;
}

/** The answer; `onProgress` is told on the way. Rejects with Refused. */
export async function ask(wanted: Wanted, onProgress: (event: Progress) => void, signal: AbortSignal): Promise<Answer> {
  const answer = await fetch("/api/v1/copilot/flow", {
    method: "POST", signal, credentials: "same-origin", headers: { "Content-Type": "application/json", Accept: "text/event-stream" }, body: JSON.stringify(wanted),
  });
  if (!answer.ok || !answer.body) {
    let body: Body = {};
    try { body = (await answer.json()) as Body; } catch { /* no JSON: the status says it */ }
    throw new Refused(body, `${answer.status} ${answer.statusText}`);
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Refused({}, "the connection broke off");
    rest += value;
    for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
      const event = readEvent(rest.slice(0, end));
      rest = rest.slice(end + 2);
      if (!event) continue;
      const data: unknown = JSON.parse(event.data);
      if (event.name === "end") { await reader.cancel(); return data as Answer; }
      if (event.name === "error") { await reader.cancel(); throw new Refused(data as Body, "error"); }
      onProgress(data as Progress);
    }
  }
}
