"use strict";
(() => {
  const segments = [...document.querySelectorAll("[data-role]")];
  const keys = [...document.querySelectorAll("[data-filter]")];
  for (const place of document.querySelectorAll("[data-count]"))
    place.textContent = segments.filter((s) => s.dataset.role === place.dataset.count).length;
  const show = (key, on) => key.setAttribute("aria-pressed", String(on));
  const apply = () => {
    const off = new Set(keys.filter((k) => k.getAttribute("aria-pressed") === "false").map((k) => k.dataset.filter));
    for (const segment of segments) segment.hidden = off.has(segment.dataset.role);
  };
  const press = (key, alone) => {
    if (alone) keys.forEach((other) => show(other, other === key));
    else show(key, key.getAttribute("aria-pressed") === "false");
    apply();
  };
  keys.forEach((key) => key.addEventListener("click", (event) => press(key, event.shiftKey)));
  document.querySelector("[data-all]")?.addEventListener("click", () => {
    keys.forEach((key) => show(key, true));
    apply();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { j: 1, k: -1 }[event.key];
    if (step) {
      const visible = segments.filter((s) => !s.hidden);
      const here = visible.indexOf(document.activeElement);
      const next = visible[here < 0 ? 0 : Math.min(Math.max(here + step, 0), visible.length - 1)];
      next?.focus();
      next?.scrollIntoView({ block: "center" });
    } else if (/^[1-9]$/.test(event.key) && keys[event.key - 1]) press(keys[event.key - 1], event.shiftKey);
  });
})();
