"use strict";
// A table of the page: sorted, filtered, narrowed to some columns, copied.

const NUMBER = String.raw`[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?`;
const BOUND = new RegExp(`^(>=|<=|>|<|=)\\s*(${NUMBER})$`);
const RANGE = new RegExp(`^(${NUMBER})\\s*\\.\\.\\s*(${NUMBER})$`);
const COMPARED = {
  ">": (value, bound) => value > bound,
  ">=": (value, bound) => value >= bound,
  "<": (value, bound) => value < bound,
  "<=": (value, bound) => value <= bound,
  "=": (value, bound) => value === bound,
};

/** The value of a number's text; NaN of an empty one. */
const valueOf = (text) => (text === "" ? NaN : Number(text));

/** The test of a cell's text that was typed: >99, 1..3, =text, !text, or a part of the text. */
function condition(typed) {
  const text = typed.trim().toLowerCase();
  const bound = BOUND.exec(text);
  if (bound) return (cell) => COMPARED[bound[1]](valueOf(cell), Number(bound[2]));
  const range = RANGE.exec(text);
  if (range) return (cell) => valueOf(cell) >= Number(range[1]) && valueOf(cell) <= Number(range[2]);
  if (text.startsWith("=")) return (cell) => cell.toLowerCase() === text.slice(1).trim();
  if (text.startsWith("!")) return (cell) => !cell.toLowerCase().includes(text.slice(1).trim());
  return (cell) => cell.toLowerCase().includes(text);
}

/** An element with properties and children. */
function element(name, properties = {}, ...children) {
  const created = Object.assign(document.createElement(name), properties);
  created.append(...children);
  return created;
}

class DataTable {
  /** Add the controls of a section's table; `changed` is called when its state changes. */
  constructor(section, changed) {
    this.table = section.querySelector("table");
    this.name = this.table.id;
    this.title = section.querySelector("h2").textContent;
    this.changed = changed;
    this.columns = [...this.table.tHead.rows[0].cells].map((head, place) => ({
      head,
      place,
      name: head.dataset.column,
      number: head.classList.contains("number"),
      shown: "shown" in head.dataset,
    }));
    this.body = this.table.tBodies[0];
    this.rows = [...this.body.rows].map((row) => ({
      row,
      run: row.dataset.run,
      cells: [...row.cells].map((cell) => cell.textContent),
    }));
    this.visible = this.rows;
    this.style = document.head.appendChild(element("style"));
    this.addControls(section);
    this.restore(new URLSearchParams());
  }

  column(name) {
    return this.columns.find((column) => column.name === name);
  }

  addControls(section) {
    const details = section.querySelector("details.columns");
    for (const column of this.columns) {
      const button = element("button", { type: "button", textContent: column.name });
      button.addEventListener("click", () => this.sortBy(column));
      column.head.replaceChildren(button);
      const item = [...details.querySelectorAll("li")].find((li) => li.dataset.column === column.name);
      column.box = element("input", { type: "checkbox", disabled: column.place === 0 });
      column.box.addEventListener("change", () => this.update());
      item.replaceChildren(element("label", {}, column.box, ...item.childNodes));
    }
    const filters = this.table.tHead.insertRow();
    filters.className = "filters";
    for (const column of this.columns) {
      column.filter = element("input", { type: "text", spellcheck: false, autocomplete: "off" });
      column.filter.setAttribute("aria-label", `Filter ${this.title} by ${column.name}`);
      column.filter.placeholder = column.number ? ">, <, 1..3" : "text, !text";
      column.filter.addEventListener("input", () => this.update());
      filters.append(element("td", {}, column.filter));
    }
    this.search = element("input", { type: "search", spellcheck: false, autocomplete: "off" });
    this.search.addEventListener("input", () => this.update());
    this.count = element("span", { className: "count" });
    this.count.setAttribute("role", "status");
    const button = (text, action) => {
      const created = element("button", { type: "button", textContent: text });
      created.addEventListener("click", action);
      return created;
    };
    const controls = element(
      "div",
      { className: "controls" },
      element("label", {}, "Search ", this.search),
      button("Copy as CSV", () => copy(this.csv(), `${this.visible.length} rows as CSV`)),
      button("Copy as Markdown", () => copy(this.markdown(), `${this.visible.length} rows as Markdown`)),
      button("Reset", () => {
        this.restore(new URLSearchParams());
        this.changed(this);
      }),
      this.count,
    );
    details.before(controls);
  }

  sortBy(column) {
    const before = this.sort;
    if (before?.column !== column) this.sort = { column, descending: false };
    else this.sort = before.descending ? null : { column, descending: true };
    this.update();
  }

  /** Show what the controls say, and report the change. */
  update() {
    this.apply();
    this.changed(this);
  }

  apply() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const conditions = this.columns
      .filter((column) => column.filter.value.trim())
      .map((column) => [column.place, condition(column.filter.value)]);
    this.visible = this.sorted().filter(({ cells }) => {
      const text = cells.join("\n").toLowerCase();
      return words.every((word) => text.includes(word)) && conditions.every(([place, test]) => test(cells[place]));
    });
    this.body.replaceChildren(...this.visible.map(({ row }) => row));
    for (const { head } of this.columns) head.removeAttribute("aria-sort");
    this.sort?.column.head.setAttribute("aria-sort", this.sort.descending ? "descending" : "ascending");
    const hidden = this.columns.filter(({ box }) => !box.checked);
    const places = hidden.map(({ place }) => `#${this.name} tr > :nth-child(${place + 1})`);
    const rule = places.length ? `${places.join(",")}{display:none}` : "";
    if (rule !== this.style.textContent) this.style.textContent = rule;
    this.count.textContent = `${this.visible.length} of ${this.rows.length} rows`;
  }

  /** The rows in the order that was chosen. Empty cells are last, whatever the direction. */
  sorted() {
    if (!this.sort) return this.rows;
    const { column, descending } = this.sort;
    const order = descending ? -1 : 1;
    const text = new Intl.Collator("en", { numeric: true });
    return [...this.rows].sort((first, second) => {
      const [one, two] = [first.cells[column.place], second.cells[column.place]];
      if (one === "" || two === "") return (one === "") - (two === "");
      return order * (column.number ? valueOf(one) - valueOf(two) : text.compare(one, two));
    });
  }

  /** What differs from the state at first, as parameters of the address. */
  parameters() {
    const pairs = [];
    if (this.sort) pairs.push(["sort", (this.sort.descending ? "-" : "") + this.sort.column.name]);
    if (this.search.value) pairs.push(["search", this.search.value]);
    for (const column of this.columns)
      if (column.filter.value) pairs.push([`filter.${column.name}`, column.filter.value]);
    const differing = this.columns.filter(({ box, shown }) => box.checked !== shown);
    if (differing.length) pairs.push(["toggled", differing.map(({ name }) => name).join(",")]);
    return pairs.map(([key, value]) => [`${this.name}.${key}`, value]);
  }

  restore(parameters) {
    const value = (key) => parameters.get(`${this.name}.${key}`) ?? "";
    const sort = value("sort");
    const column = this.column(sort.replace(/^-/, ""));
    this.sort = column ? { column, descending: sort.startsWith("-") } : null;
    this.search.value = value("search");
    const toggled = new Set(value("toggled").split(","));
    for (const each of this.columns) {
      each.filter.value = value(`filter.${each.name}`);
      each.box.checked = each.place === 0 || each.shown !== toggled.has(each.name);
    }
    this.apply();
  }

  /** The visible rows as objects by column, with numbers as numbers (null of an empty cell). */
  objects() {
    const value = (column, text) => (column.number ? (text === "" ? null : valueOf(text)) : text);
    return this.visible.map(({ cells }) =>
      Object.fromEntries(this.columns.map((column) => [column.name, value(column, cells[column.place])])),
    );
  }

  /** The heads and visible rows of the shown columns, as texts. */
  texts() {
    const shown = this.columns.filter(({ box }) => box.checked);
    return [
      shown.map(({ name }) => name),
      ...this.visible.map(({ cells }) => shown.map(({ place }) => cells[place])),
    ];
  }

  csv() {
    const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    return this.texts().map((row) => `${row.map(quoted).join(",")}\n`).join("");
  }

  markdown() {
    const [head, ...rows] = this.texts();
    const shown = this.columns.filter(({ box }) => box.checked);
    const rule = shown.map(({ number }) => (number ? "--:" : "---"));
    const line = (row) => `| ${row.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |\n`;
    return [head, rule, ...rows].map(line).join("");
  }
}

/** Copy a text; `what` is reported in the page. */
async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without permission, or at an address that is not secure.
    const area = document.body.appendChild(element("textarea", { value: text }));
    const focused = document.activeElement;
    area.select();
    document.execCommand("copy");
    area.remove();
    focused?.focus();
  }
  document.getElementById("status").textContent = `Copied ${what}.`;
}
