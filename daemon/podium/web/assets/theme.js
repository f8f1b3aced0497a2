// Sets what a person chose for all pages before the first paint: colours and the width of the navigation. Without a choice the system's setting holds.
(function () {
  "use strict";
  try {
    const root = document.documentElement, theme = localStorage.getItem("podium-theme"), side = localStorage.getItem("podium-side");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    if (side === "narrow") root.dataset.side = side;
  } catch (error) { /* storage is off: the system's setting holds */ }
})();
