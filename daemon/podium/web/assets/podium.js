// Log lines as they come, and the run form while it is filled in. Every page reads without it.
(function () {
  "use strict";
  const LINES_MAX = 5000;
  const $ = (selector, root) => (root || document).querySelector(selector);
  const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));

  // ---- log: new lines as they come, filtered by what is typed
  const log = $("#log-lines");
  const filter = $('[data-filter="log-lines"]');
  const ansi = /\u001b(\[[0-?]*[ -\/]*[@-~]|\][^\u0007\u001b]*(\u0007|\u001b\\)|[@-Z\\-_])/g;
  function matches(line) {
    const wanted = filter ? filter.value.trim().toLowerCase() : "";
    return !wanted || line.textContent.toLowerCase().includes(wanted);
  }
  if (log && filter) {
    filter.addEventListener("input", () => all("li", log).forEach((line) => { line.hidden = !matches(line); }));
  }
  if (log && log.dataset.log && window.EventSource) {
    const follow = $("#follow");
    follow.closest("label").hidden = false;
    const none = $("#no-log");
    const bottom = () => { if (follow.checked) log.scrollTop = log.scrollHeight; };
    log.addEventListener("wheel", () => { follow.checked = log.scrollHeight - log.scrollTop - log.clientHeight < 40; }, { passive: true });
    follow.addEventListener("change", bottom);
    const cell = (name, text) => { const made = document.createElement(name); made.textContent = text; return made; };
    const source = new EventSource(log.dataset.log);
    let waiting = [];
    const show = () => {
      const lines = document.createDocumentFragment();
      waiting.forEach((entry) => {
        const line = document.createElement("li");
        line.className = "l-" + String(entry.level).replace(/[^A-Z]/g, "");
        const message = String(entry.message || "").replace(ansi, "").replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, "\ufffd");
        line.append(cell("time", String(entry.timestamp || "").slice(11, 23)), cell("b", entry.level || ""), cell("span", entry.taskId || ""), cell("code", message));
        line.hidden = !matches(line);
        lines.append(line);
      });
      waiting = [];
      none.classList.add("gone");
      log.append(lines);
      while (log.childElementCount > LINES_MAX) log.firstElementChild.remove();
      bottom();
    };
    source.onmessage = (event) => {
      waiting.push(JSON.parse(event.data));
      if (waiting.length === 1) requestAnimationFrame(show);
    };
    source.addEventListener("end", () => { source.close(); document.dispatchEvent(new CustomEvent("podium:refresh")); });
    window.addEventListener("pagehide", () => source.close());
    bottom();
  }

  // ---- run form: which inputs are asked for, and what is wrong, while it is filled in
  const form = $("form[data-validate]");
  if (form) {
    const touched = new Set();
    let asking = 0;
    const ask = async () => {
      const body = new FormData();
      const moments = new Set(all('input[name="_moment"]', form).map((each) => each.value));
      new FormData(form).forEach((value, name) => {
        if (name.startsWith("_") || typeof value !== "string" || value === "") return;
        body.append(name, moments.has(name) ? (value.length === 16 ? value + ":00Z" : value + "Z") : value);
      });
      const turn = ++asking;
      try {
        const answer = await fetch(form.dataset.validate, { method: "POST", body, credentials: "same-origin" });
        if (!answer.ok || turn !== asking) return;
        (await answer.json()).inputs.forEach((each) => {
          const name = typeof each.input === "string" ? each.input : each.input.id;
          const box = all("[data-input]", form).find((candidate) => candidate.dataset.input === name);
          if (!box) return;
          box.hidden = each.enabled === false;
          if (!touched.has(name)) return;
          const isFile = $('input[type="file"]', box) !== null;
          const errors = isFile ? [] : (each.errors || []).map((error) => (typeof error === "string" ? error : error.message));
          $(".errors", box).replaceChildren(...errors.map((text) => { const made = document.createElement("p"); made.textContent = text; return made; }));
          box.classList.toggle("wrong", errors.length > 0);
        });
      } catch (error) { /* the server checks again when the form is sent */ }
    };
    form.addEventListener("change", (event) => { touched.add(event.target.name); ask(); });
    form.addEventListener("submit", () => { const button = $("button.primary", form); setTimeout(() => { button.disabled = true; }, 0); });
    window.addEventListener("pageshow", () => { $("button.primary", form).disabled = form.hasAttribute("data-off"); });
    if ($("[data-depends]", form)) ask();
  }
})();
