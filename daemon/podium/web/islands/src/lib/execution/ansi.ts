// Colours of terminals as classes: `\u001b[31m` begins a span of class `a31`. Everything else that a terminal would obey is left out; text stays text.

export interface Piece { text: string; classes: string }

const ESCAPE = /\u001b(?:\[([0-9;:]*)([@-~])|\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f]/g;
const COLOURS = new Set([1, 3, 4, 9, 30, 31, 32, 33, 34, 35, 36, 37, 90, 91, 92, 93, 94, 95, 96, 97]);

/** Text without what terminals obey. */
export const bare = (text: string): string => text.replace(ESCAPE, "").replace(CONTROL, "\ufffd");

/** The text as pieces with their colours. */
export function pieces(text: string): Piece[] {
  if (!text.includes("\u001b")) return [{ text: text.replace(CONTROL, "\ufffd"), classes: "" }];
  const found: Piece[] = [];
  let style: number[] = [];
  let at = 0;
  const add = (part: string): void => {
    if (part) found.push({ text: part.replace(CONTROL, "\ufffd"), classes: style.map((each) => `a${each}`).join(" ") });
  };
  for (const match of text.matchAll(ESCAPE)) {
    add(text.slice(at, match.index));
    at = match.index + match[0].length;
    if (match[2] !== "m") continue;
    const codes = (match[1] ?? "").split(/[;:]/).map(Number);
    for (let index = 0; index < codes.length; index += 1) {
      const code = codes[index] ?? 0;
      if (code === 0) style = [];
      else if (code === 38 || code === 48) { index += codes[index + 1] === 5 ? 2 : 4; }
      else if (code === 39) style = style.filter((each) => each < 30);
      else if (code === 22) style = style.filter((each) => each !== 1);
      else if (COLOURS.has(code)) style = [...style.filter((each) => (each >= 30) !== (code >= 30) || (code < 30 && each !== code)), code];
    }
  }
  add(text.slice(at));
  return found;
}
