// Changes that are not committed yet, kept in this browser: they survive a reload, a crash, and a login that ran out. Pure but for localStorage.
export interface Draft {
  text: string;
  /** What the file was when the changes were begun. */
  base: string;
  blob: string;
  at: number;
}

const CHARS_MAX = 1_000_000;
const KEPT_MAX = 40;
const PREFIX = "podium-draft:";

export const draftKey = (source: string, branch: string, path: string): string => `${PREFIX}${source}:${branch}:${path}`;

export function loadDraft(key: string): Draft | null {
  try {
    const found = JSON.parse(localStorage.getItem(key) ?? "null") as Draft | null;
    return found && typeof found.text === "string" && typeof found.base === "string" ? found : null;
  } catch { return null; }
}

/** Whether it could be kept. */
export function keepDraft(key: string, draft: Draft): boolean {
  if (draft.text.length + draft.base.length > CHARS_MAX) return false;
  try {
    localStorage.setItem(key, JSON.stringify(draft));
    forgetOldest();
    return true;
  } catch { return false; }
}

export function dropDraft(key: string): void {
  try { localStorage.removeItem(key); } catch { /* there is none then */ }
}

function forgetOldest(): void {
  const keys = Object.keys(localStorage).filter((each) => each.startsWith(PREFIX));
  if (keys.length <= KEPT_MAX) return;
  const byAge = keys.map((key) => ({ key, at: loadDraft(key)?.at ?? 0 })).sort((a, b) => a.at - b.at);
  for (const { key } of byAge.slice(0, keys.length - KEPT_MAX)) localStorage.removeItem(key);
}
