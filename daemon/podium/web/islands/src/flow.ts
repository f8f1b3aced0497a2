// The run form of a flow: the lines for a shell follow what is typed, the flow's checks are shown, a file is sent with its progress.
import { flow as words } from "../../strings.json";
import { every, fill, find, make, toast } from "./lib/dom";
import { inputs } from "./lib/inputs";

const quoted = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`);
const variable = (name: string): string => name.replace(/[^\p{L}\p{N}]/gu, "_").toUpperCase();

interface Given { name: string; value: string; kind: "text" | "file" | "secret" }

function given(form: HTMLFormElement): Given[] {
  const found = new Map<string, Given>();
  const lists = new Map<string, string[]>();
  for (const field of every<HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement>("[name]", form)) {
    if (field.name.startsWith("_") || field.closest<HTMLElement>(".field")?.hidden) continue;
    if (field.type === "password") found.set(field.name, { name: field.name, value: "", kind: "secret" });
    else if (field.type === "file") {
      const file = (field as HTMLInputElement).files?.[0];
      if (file) found.set(field.name, { name: field.name, value: file.name, kind: "file" });
    } else if (field.type === "checkbox") {
      if ((field as HTMLInputElement).checked) lists.set(field.name, [...(lists.get(field.name) ?? []), field.value]);
    } else if (field.type === "radio") {
      if ((field as HTMLInputElement).checked) found.set(field.name, { name: field.name, value: field.value, kind: "text" });
    } else if (field.value !== "") {
      const value = field.type === "datetime-local" ? `${field.value}${field.value.length === 16 ? ":00" : ""}Z` : field.value;
      found.set(field.name, { name: field.name, value, kind: "text" });
    }
  }
  for (const [name, values] of lists) found.set(name, { name, value: JSON.stringify(values), kind: "text" });
  return [...found.values()];
}

function rewrite(form: HTMLFormElement): void {
  const inputs = given(form);
  const labels = (find<HTMLTextAreaElement>("[name=_labels]", form)?.value ?? "").split("\n").map((line) => line.trim()).filter(Boolean);
  const query = labels.map((label) => `labels=${encodeURIComponent(label)}`).join("&");
  const curl = find("#curl");
  const cli = find("#cli");
  if (curl) {
    const address = (curl.dataset.address ??= /^curl -X POST (\S+)/.exec(curl.textContent ?? "")?.[1]?.replace(/^'|'$/g, "") ?? "");
    const parts = [`curl -X POST ${quoted(query ? `${address}?${query}` : address)}`, '-H "Authorization: Bearer $PODIUM_TOKEN"'];
    for (const each of inputs) {
      if (each.kind === "file") parts.push(`-F ${quoted(`${each.name}=@${each.value}`)}`);
      else parts.push(each.kind === "secret" ? `-F "${each.name}=$${variable(each.name)}"` : `--form-string ${quoted(`${each.name}=${each.value}`)}`);
    }
    show(curl, parts.join(" \\\n  "));
  }
  if (cli) {
    const first = (cli.dataset.first ??= (cli.textContent ?? "").split(" \\\n")[0] ?? "");
    const parts = [first, ...inputs.map((each) => (each.kind === "secret" ? `--input "${each.name}=$${variable(each.name)}"` : `--input ${quoted(`${each.name}=${each.kind === "file" ? "@" : ""}${each.value}`)}`))];
    for (const label of labels) parts.push(`--label ${quoted(label.replace(":", "="))}`);
    show(cli, parts.join(" \\\n  "));
  }
}

function show(place: HTMLElement, text: string): void {
  if (place.textContent === text) return;
  place.textContent = text;
  const button = place.parentElement?.querySelector<HTMLElement>("[data-copy]");
  if (button) button.dataset.copy = text;
}

interface Check { message: string; style?: string; behavior?: string }

let asked = 0;
async function checks(form: HTMLFormElement): Promise<void> {
  const place = find("#checks", form);
  const address = form.dataset.validate;
  if (!place || !address) return;
  const number = (asked += 1);
  const body = new FormData();
  for (const [name, value] of new FormData(form)) if (!name.startsWith("_") && typeof value === "string" && value !== "") body.append(name, value);
  try {
    const answer = await fetch(address, { method: "POST", body, credentials: "same-origin", headers: { Accept: "application/json" } });
    if (!answer.ok || number !== asked) return;
    const found = ((await answer.json()) as { checks?: Check[] }).checks ?? [];
    const kind = (each: Check): string => ({ ERROR: "bad", WARNING: "warn", SUCCESS: "ok" })[each.style ?? ""] ?? "info";
    place.replaceChildren(...found.map((each) => make("p", { class: `banner ${kind(each)}` }, each.message)));
  } catch { /* it is asked again with the next letter, and when it is sent */ }
}

/** Send a form that has a file, with its progress; what comes back is shown as the browser would. */
function send(form: HTMLFormElement): void {
  const sending = find("#sending", form);
  const bar = find<HTMLProgressElement>("progress", sending ?? form);
  const text = find("#sent", form);
  const request = new XMLHttpRequest();
  const buttons = every<HTMLButtonElement>("button", form);
  if (sending) sending.hidden = false;
  buttons.forEach((each) => { each.disabled = true; });
  request.upload.addEventListener("progress", (event) => {
    if (!event.lengthComputable) return;
    const done = Math.round((event.loaded / event.total) * 100);
    if (bar) bar.value = done;
    if (text) text.textContent = `${done} %`;
  });
  const over = (why: string): void => {
    if (sending) sending.hidden = true;
    buttons.forEach((each) => { each.disabled = false; });
    if (why) toast(why, "bad");
  };
  request.addEventListener("load", () => {
    if (request.status < 400) {
      location.assign(request.responseURL);
      return;
    }
    const fresh = new DOMParser().parseFromString(request.responseText, "text/html");
    const next = find<HTMLFormElement>("form[data-run]", fresh);
    over(next ? "" : fill(words.not_sent, { status: request.status }));
    if (!next) return;
    const files = new Map(every<HTMLInputElement>("input[type=file]", form).map((each) => [each.name, each]));
    const made = document.adoptNode(next);
    for (const each of every<HTMLInputElement>("input[type=file]", made)) { // what was chosen stays chosen
      const chosen = files.get(each.name);
      if (chosen) each.replaceWith(chosen);
    }
    form.replaceWith(made);
    begin(made);
    find<HTMLElement>("[role=alert]", made)?.scrollIntoView({ block: "center" });
  });
  request.addEventListener("error", () => over(words.connection_lost));
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "text/html");
  request.send(new FormData(form));
}

function begin(form: HTMLFormElement): void {
  inputs(form);
  let timer = 0;
  const changed = (): void => {
    rewrite(form);
    clearTimeout(timer);
    timer = window.setTimeout(() => void checks(form), 300);
  };
  form.addEventListener("input", changed);
  form.addEventListener("change", changed);
  form.addEventListener("podium:validated", () => rewrite(form));
  form.addEventListener("submit", (event) => {
    if (!every<HTMLInputElement>("input[type=file]", form).some((each) => each.files?.length)) return;
    event.preventDefault();
    send(form);
  });
  changed();
}

const form = find<HTMLFormElement>("form[data-run]");
if (form) begin(form);
// Chosen lines of the source: #L3 or #L3-L7, by shift and click.
for (const link of every<HTMLAnchorElement>(".code td.no a[href^='#L']")) {
  link.addEventListener("click", (event) => {
    const from = /^#L(\d+)/.exec(location.hash)?.[1];
    const to = link.dataset.no;
    if (!event.shiftKey || !from || !to) return;
    event.preventDefault();
    history.replaceState(null, "", `#L${Math.min(+from, +to)}-L${Math.max(+from, +to)}`);
    mark();
  });
}
function mark(): void {
  const found = /^#L(\d+)(?:-L(\d+))?$/.exec(location.hash);
  every(".code tr.chosen").forEach((row) => row.classList.remove("chosen"));
  if (!found) return;
  for (let line = Number(found[1]); line <= Math.min(Number(found[2] ?? found[1]), Number(found[1]) + 5_000); line += 1) find(`#L${line}`)?.classList.add("chosen");
  find(`#L${found[1]}`)?.scrollIntoView({ block: "center" });
}
addEventListener("hashchange", mark);
if (find(".code tr[id^=L]")) mark();
