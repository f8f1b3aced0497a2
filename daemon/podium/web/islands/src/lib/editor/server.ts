// What the editor asks of the server.
export interface Problem { line: number; column: number; path: string; code: string; message: string; hint: string; severity: "error" | "warning" }
export interface FileInfo { path: string; blob: string; size: number; kind: string }
export interface Conflict { path: string; base: string | null; theirs: string | null; ours: string | null; blob: string; binary?: boolean }
export interface Deployment { deployed: boolean; commit?: string; rejected?: { path: string; problems: Problem[] }[]; held?: string; error?: string; hint?: string }
export interface Saved { commit: string; branch: string; url?: string; review?: string; deployment?: Deployment }
export interface Change { path: string; text?: string | null; blob?: string; base64?: string }

/** What the server refused, in its words. */
export class Refused extends Error {
  constructor(readonly status: number, message: string, readonly hint: string, readonly conflicts: Conflict[] = [], readonly head: string = "") { super(message); }
}

async function ask<Kind>(method: string, address: string, body?: BodyInit, type?: string, signal?: AbortSignal): Promise<Kind> {
  const answer = await fetch(address, {
    method, credentials: "same-origin", headers: { Accept: "application/json", ...(type ? { "Content-Type": type } : {}) }, ...(body !== undefined ? { body } : {}), ...(signal ? { signal } : {}),
  });
  const text = await answer.text();
  let found: Record<string, unknown> = {};
  try { found = text ? (JSON.parse(text) as Record<string, unknown>) : {}; } catch { /* not JSON: its status says enough */ }
  if (!answer.ok) {
    throw new Refused(answer.status, String(found["message"] ?? `${answer.status} ${answer.statusText}`), String(found["hint"] ?? ""), (found["conflicts"] as Conflict[] | undefined) ?? [], String(found["head"] ?? ""));
  }
  return found as Kind;
}

const place = (source: string): string => `/api/v1/edits/${encodeURIComponent(source)}`;

/** What is wrong with the flows of a text: the words of `podium validate`, with places. */
export async function validate(text: string, signal: AbortSignal): Promise<Problem[]> {
  const found = await ask<{ problems: Problem[]; notes?: Problem[] }[]>("POST", "/api/v1/flows/validate", text, "application/x-yaml", signal);
  return found.flatMap((each) => [
    ...each.problems.map((one) => ({ ...one, severity: "error" as const })), ...(each.notes ?? []).map((one) => ({ ...one, severity: "warning" as const })),
  ]);
}

/** What the deployment would find wrong with a file of the repository. */
export async function check(source: string, path: string, text: string, branch: string, signal: AbortSignal): Promise<Problem[]> {
  const body = JSON.stringify({ ref: branch, changes: [{ path, text }] });
  const found = await ask<{ problems: Problem[] }>("POST", `${place(source)}/check`, body, "application/json", signal);
  return found.problems.map((each) => ({ ...each, severity: "error" as const }));
}

/** The branches of a source, the deployed one first. The remote is asked: that may take a while. */
export async function branches(source: string): Promise<string[]> {
  const found = await ask<{ source: string; branches: Record<string, string> }[]>("GET", "/api/v1/edits");
  return Object.keys(found.find((each) => each.source === source)?.branches ?? {});
}

export const tree = (source: string, branch: string): Promise<{ commit: string; files: FileInfo[] }> => ask("GET", `${place(source)}/tree?ref=${encodeURIComponent(branch)}`);
export const file = (source: string, path: string, branch: string): Promise<{ path: string; blob: string; commit: string; text?: string }> =>
  ask("GET", `${place(source)}/file?path=${encodeURIComponent(path)}&ref=${encodeURIComponent(branch)}`);
export const placeOf = (namespace: string, id: string): Promise<{ source: string; path: string; blob?: string; commit: string }> =>
  ask("GET", `/api/v1/edits/place?namespace=${encodeURIComponent(namespace)}&id=${encodeURIComponent(id)}`);
export const graph = (text: string, signal: AbortSignal): Promise<unknown> => ask("POST", "/api/v1/flows/graph", text, "application/x-yaml", signal);
export const copilot = (): Promise<{ enabled: boolean; model?: string }> => ask("GET", "/api/v1/copilot");

export function publish(source: string, edit: { base: string; branch?: string; newBranch?: string; message: string; changes: Change[] }): Promise<Saved> {
  return ask("POST", `${place(source)}?wait=true`, JSON.stringify(edit), "application/json");
}
