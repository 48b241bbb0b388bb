(function () {
  "use strict";
  document.documentElement.classList.add("scripted");
  var all = document.querySelectorAll("details.source:not([data-kept])");
  var control = document.getElementById("code-switch");
  function show(open) {
    all.forEach(function (details) { details.open = open; });
    control.setAttribute("aria-pressed", String(open));
    control.textContent = open ? "Hide code" : "Show code";
  }
  if (all.length) control.addEventListener("click", function () { show(control.getAttribute("aria-pressed") !== "true"); });
  else control.remove();

  // What scrolls sideways can be reached with the keyboard; nothing else becomes a stop on the way.
  function reach() {
    document.querySelectorAll(".table, pre, .equation").forEach(function (box) {
      if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight + 1) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    });
  }
  reach();
  addEventListener("resize", reach);

  // Mark where the reader is in the list of contents.
  var links = Array.from(document.querySelectorAll(".contents a"));
  var headings = links.map(function (link) { return document.getElementById(link.hash.slice(1)); });
  function mark() {
    var here = 0;
    headings.forEach(function (heading, index) { if (heading.getBoundingClientRect().top < 120) here = index; });
    links.forEach(function (link, index) {
      if (index === here) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
  }
  if (links.length) { addEventListener("scroll", mark, { passive: true }); mark(); }
})();
