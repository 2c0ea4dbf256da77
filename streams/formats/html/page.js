"use strict";
// Sorts and filters tables that are whole without it. What it adds is made of elements and text, never of markup.
for (const table of document.querySelectorAll("table[data-filter]")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const hidden = new Set();

  const make = (name, properties, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  const search = make("input", { type: "search", autocomplete: "off" });
  const shown = make("output", {});
  const tools = make("form", { className: "tools" }, make("label", {}, "Find", search));
  tools.setAttribute("role", "search");
  tools.setAttribute("aria-label", table.caption.textContent);
  tools.addEventListener("submit", (event) => event.preventDefault());

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const text = texts.get(row);
      const isShown = !hidden.has(row.dataset.facet) && words.every((word) => text.includes(word));
      row.hidden = !isShown;
      count += isShown;
      const story = row.dataset.story && document.getElementById(row.dataset.story);
      if (story) story.hidden = !isShown;
    }
    shown.textContent = `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")} shown`;
  };
  for (const facet of new Set(rows.map((row) => row.dataset.facet))) {
    const box = make("input", { type: "checkbox", checked: true });
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(facet);
      else hidden.add(facet);
      filter();
    });
    tools.append(make("label", {}, box, facet));
  }
  search.addEventListener("input", filter);
  tools.append(shown);
  table.parentElement.before(tools);
  filter();

  const order = new Intl.Collator("en", { numeric: true }).compare;
  for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
    if (!head.dataset.sort) continue;
    const button = make("button", { type: "button" }, ...head.childNodes);
    head.append(button);
    const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent;
    button.addEventListener("click", () => {
      const isNumber = head.dataset.sort === "key";
      const before = head.getAttribute("aria-sort");
      const direction = (before ?? (isNumber ? "ascending" : "descending")) === "ascending" ? "descending" : "ascending";
      for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", direction);
      const sign = direction === "ascending" ? 1 : -1;
      const keys = new Map(rows.map((row) => [row, key(row)]));
      body.append(...rows.sort((a, b) => sign * order(keys.get(a), keys.get(b))));
    });
  }
}
// A link to a story that a filter hides shows it all the same.
const reveal = () => {
  const story = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (story?.hidden) {
    story.hidden = false;
    story.scrollIntoView();
  }
};
addEventListener("hashchange", reveal);
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => (each.open = true)));
