// Sets the colours a person chose before the first paint. Without a choice the system's setting holds.
(function () {
  "use strict";
  try {
    const chosen = localStorage.getItem("podium-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch (error) { /* storage is off: the system's setting holds */ }
})();
