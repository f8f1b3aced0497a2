// A form of inputs while it is filled in: which inputs are asked for, and what is wrong with those touched. The server decides, and checks again
// when the form is sent. <form data-validate="address of the check">.
import { every, find, make } from "./dom";

interface Checked { input: string | { id: string }; enabled?: boolean; errors?: (string | { message: string })[] }

/** Check this form as it changes. Each answer is told to the form as `podium:validated`. */
export function inputs(form: HTMLFormElement): void {
  const address = form.dataset.validate;
  if (!address) return;
  const touched = new Set<string>();
  let asking = 0;
  const ask = async (): Promise<void> => {
    const body = new FormData();
    const moments = new Set(every<HTMLInputElement>('input[name="_moment"]', form).map((each) => each.value));
    new FormData(form).forEach((value, name) => {
      if (name.startsWith("_") || typeof value !== "string" || value === "") return;
      body.append(name, moments.has(name) ? (value.length === 16 ? `${value}:00Z` : `${value}Z`) : value);
    });
    const turn = ++asking;
    try {
      const answer = await fetch(address, { method: "POST", body, credentials: "same-origin", headers: { Accept: "application/json" } });
      if (!answer.ok || turn !== asking) return;
      for (const each of ((await answer.json()) as { inputs: Checked[] }).inputs) show(form, each, touched);
      form.dispatchEvent(new CustomEvent("podium:validated"));
    } catch { /* the server checks again when the form is sent */ }
  };
  form.addEventListener("change", (event) => { touched.add((event.target as HTMLInputElement).name); void ask(); });
  form.addEventListener("submit", (event) => {
    setTimeout(() => { if (!event.defaultPrevented) every<HTMLButtonElement>("button.primary", form).forEach((each) => { each.disabled = true; }); }, 0);
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) every<HTMLButtonElement>("button.primary", form).forEach((each) => { each.disabled = form.hasAttribute("data-off"); });
  });
  if (find("[data-depends]", form)) void ask();
}

function show(form: HTMLFormElement, checked: Checked, touched: ReadonlySet<string>): void {
  const name = typeof checked.input === "string" ? checked.input : checked.input.id;
  const box = every("[data-input]", form).find((each) => each.dataset.input === name);
  if (!box) return;
  box.hidden = checked.enabled === false;
  if (!touched.has(name)) return;
  const errors = find('input[type="file"]', box) ? [] : (checked.errors ?? []).map((each) => (typeof each === "string" ? each : each.message));
  find(".errors", box)?.replaceChildren(...errors.map((text) => make("p", {}, text)));
  box.classList.toggle("wrong", errors.length > 0);
}
