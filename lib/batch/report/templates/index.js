(function () {
  "use strict";
  document.documentElement.classList.add("scripted");
  var board = document.getElementById("board");
  if (!board) return;
  var form = document.querySelector(".filters");
  var rows = Array.from(board.tBodies[0].rows);
  var none = document.getElementById("none-left");

  function filter() {
    var paper = form.elements.paper.value;
    var words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    var verdicts = Array.from(form.querySelectorAll("[name=verdict]:checked"), function (box) { return box.value; });
    var shown = 0;
    rows.forEach(function (row) {
      var text = row.textContent.toLowerCase();
      var fits = (!paper || row.dataset.paper === paper) && verdicts.includes(row.dataset.verdict) &&
        words.every(function (word) { return text.includes(word); });
      row.hidden = !fits;
      if (fits) shown += 1;
    });
    form.querySelector("output").textContent = shown === rows.length
      ? shown + (shown === 1 ? " claim" : " claims") : shown + " of " + rows.length + " claims";
    none.hidden = shown > 0;
  }

  // Numbers before text, rows without a value last in either direction.
  function value(row, key) {
    var text = row.dataset[key].trim();
    return text === "" ? null : isNaN(text) ? text : Number(text);
  }
  function sort(header, key) {
    var down = header.getAttribute("aria-sort") === "ascending";
    board.querySelectorAll("th").forEach(function (other) { other.removeAttribute("aria-sort"); });
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    rows.slice().sort(function (one, other) {
      var a = value(one, key), b = value(other, key);
      if (a === null || b === null) return (a === null) - (b === null) || one.dataset.order - other.dataset.order;
      var order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
      return (down ? -order : order) || one.dataset.order - other.dataset.order;
    }).forEach(function (row) { board.tBodies[0].append(row); });
  }

  board.querySelectorAll("th[data-by]").forEach(function (header) {
    var button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.textContent = header.textContent;
    button.addEventListener("click", function () { sort(header, header.dataset.by); });
    header.replaceChildren(button);
  });
  form.addEventListener("input", filter);
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  document.getElementById("all-again").addEventListener("click", function () { form.reset(); filter(); });
  filter();  // a browser that goes back keeps what was chosen
})();
