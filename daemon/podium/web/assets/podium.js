// Makes pages live: keys, theme, copying, confirming, fresh parts, log lines as they come. Every page reads without it.
(function () {
  "use strict";
  const LINES_MAX = 5000;
  const QUIET_MS = 700;
  const $ = (selector, root) => (root || document).querySelector(selector);
  const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));

  // ---- theme
  const themeButton = $("#theme");
  if (themeButton) {
    themeButton.hidden = false;
    themeButton.addEventListener("click", () => {
      const root = document.documentElement;
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      try { localStorage.setItem("podium-theme", root.dataset.theme); } catch (error) { /* kept for this page only */ }
    });
  }

  // ---- keys: "/" to the search, "g" and a letter to a page, Escape closes
  let prefix = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      all("details.menu[open]").forEach((menu) => { menu.open = false; });
      if (document.activeElement && document.activeElement.matches("input, textarea, select")) document.activeElement.blur();
      return;
    }
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    if (event.key === "/") {
      const find = $("#find");
      if (find) { event.preventDefault(); find.focus(); find.select(); }
    } else if (event.key === "g") {
      prefix = Date.now();
    } else if (Date.now() - prefix < 1500) {
      prefix = 0;
      const target = $('nav a[data-key="g ' + (/^[a-z]$/.test(event.key) ? event.key : "") + '"]');
      if (target) { event.preventDefault(); location.href = target.href; }
    }
  });

  // ---- menus: one open at a time, closed by a click elsewhere
  document.addEventListener("click", (event) => {
    all("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
    const copy = event.target.closest("[data-copy]");
    if (copy && navigator.clipboard) {
      navigator.clipboard.writeText(copy.dataset.copy).then(() => {
        copy.classList.add("done");
        setTimeout(() => copy.classList.remove("done"), 1200);
      });
    }
  });
  function enhance(root) {
    if (navigator.clipboard) all("[data-copy]", root).forEach((button) => { button.hidden = false; });
    all("[data-submit]", root).forEach((field) => field.addEventListener("change", () => field.form.requestSubmit()));
  }
  enhance(document);

  const tab = $(".tabs a[aria-current]");
  if (tab) tab.parentElement.scrollLeft = tab.offsetLeft - 40;

  // ---- times: keep "5 min ago" true
  function ago(then) {
    const seconds = (Date.now() - then) / 1000;
    const size = Math.abs(seconds);
    if (size < 10) return "just now";
    const unit = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find((each) => size >= each[0]);
    const text = Math.floor(size / unit[0]) + " " + unit[1];
    return seconds > 0 ? text + " ago" : "in " + text;
  }
  // The server's clock decides: the page was made at a moment that its own texts agree on.
  setInterval(() => {
    all("time[datetime]").forEach((time) => {
      const then = Date.parse(time.getAttribute("datetime"));
      if (!Number.isNaN(then)) time.textContent = ago(then);
    });
  }, 30000);

  // ---- live parts: on a change, fetch this page again and replace the parts that differ
  const marker = $("[data-execution]");
  const address = marker ? marker.dataset.address + location.search.replace(/^\?/, marker.dataset.address.includes("?") ? "&" : "?") : location.href;
  let fetching = false;
  let again = false;
  let timer = 0;
  function busy(part) {
    const active = document.activeElement;
    return (active && active !== document.body && part.contains(active) && active.matches("input, textarea, select")) || $("details.menu[open]", part) !== null;
  }
  async function refresh() {
    if (fetching) { again = true; return; }
    fetching = true;
    try {
      const answer = await fetch(address, { headers: { Accept: "text/html" }, credentials: "same-origin" });
      if (answer.ok && !answer.redirected) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        all("[data-part]").forEach((part) => {
          const next = fresh.getElementById(part.id);
          if (!next || busy(part) || next.innerHTML === part.dataset.html) return;
          const open = new Set(all("details[data-keep][open]", part).map((each) => each.dataset.keep));
          const scroll = all(".scroll, .code", part).map((each) => each.scrollLeft);
          const html = next.innerHTML;
          part.replaceChildren(...Array.from(next.childNodes).map((node) => document.importNode(node, true)));
          part.dataset.html = html;
          all("details[data-keep]", part).forEach((each) => { if (open.has(each.dataset.keep)) each.open = true; });
          all(".scroll, .code", part).forEach((each, index) => { each.scrollLeft = scroll[index] || 0; });
          enhance(part);
        });
        document.title = fresh.title;
        // A form to resume with came or went, or the log grows again: these are not replaced part by part.
        const has = (selector, root) => $(selector, root) !== null;
        if (marker && (has("form.run") !== has("form.run", fresh) || (has("#log-lines[data-log]", fresh) && !has("#log-lines[data-log]")))) location.reload();
      }
    } catch (error) { /* the next change tries again */ }
    fetching = false;
    if (again) { again = false; later(); }
  }
  function later() {
    if (timer) return;
    timer = setTimeout(() => { timer = 0; refresh(); }, QUIET_MS);
  }
  if (document.body.hasAttribute("data-live") && $("[data-part]") && window.EventSource && !/[?&]page=(?!1(&|$))/.test(location.search)) {
    const only = marker ? "?executionId=" + encodeURIComponent(marker.dataset.execution) : "";
    let source = null;
    const listen = () => {
      if (source || document.hidden) return;
      source = new EventSource("/api/v1/events" + only);
      let opened = false;
      source.onopen = () => { if (opened) later(); opened = true; };
      source.onmessage = later;
      source.addEventListener("reset", later);
    };
    const mute = () => { if (source) { source.close(); source = null; } };
    document.addEventListener("visibilitychange", () => { if (document.hidden) { mute(); } else { listen(); later(); } });
    window.addEventListener("pagehide", mute);
    listen();
  }

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
    source.addEventListener("end", () => { source.close(); later(); });
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
