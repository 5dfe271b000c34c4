"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const FILTERS = ["dataset", "encoder", "model", "supervision", "rate"];
const MISSING = "\u2013";
const TIE = 1e-5; // of bench/results/stats.py

// Sorting: every table, by any column, with mouse or keyboard. Groups of a table are sorted each by itself.
function number(text) {
  const value = parseFloat(text.replace(/,/g, ""));
  return Number.isNaN(value) ? null : value;
}

function sortBy(table, column, ascending) {
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
    const keyed = rows.map((row) => ({ row, text: row.cells[column].textContent.trim() }));
    keyed.sort((a, b) => {
      const [x, y] = [number(a.text), number(b.text)];
      if (x === null && y === null) return ascending ? a.text.localeCompare(b.text) : b.text.localeCompare(a.text);
      if (x === null || y === null) return x === null ? 1 : -1; // what is missing stays last
      return ascending ? x - y : y - x;
    });
    keyed.forEach(({ row }) => body.append(row));
  }
}

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") === "descending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sortBy(table, column, ascending);
    });
  });
}

// The leaderboard: weighted mean rank over the columns that pass the filters, among methods that have all of them.
function chosen() {
  const form = new FormData(document.getElementById("filters"));
  return data.filter((cell) => FILTERS.every((name) => !form.get(name) || String(cell[name]) === form.get(name)));
}

function columnsOf(cells) {
  const columns = new Map();
  for (const cell of cells) {
    const key = JSON.stringify([cell.dataset, cell.model, cell.encoder, cell.rate]);
    if (!columns.has(key)) columns.set(key, new Map());
    columns.get(key).set(cell.method, cell);
  }
  return [...columns.values()];
}

// Every data set with its model has the same weight, divided among its encoders and then among their rates; as in
// bench/results/leaderboard.py.
function weightsOf(columns) {
  const cells = columns.map((column) => column.values().next().value);
  const pair = (cell) => JSON.stringify([cell.dataset, cell.model]);
  const block = (cell) => JSON.stringify([cell.dataset, cell.model, cell.encoder]);
  const distinct = (name, members) => new Set(members.map(name)).size;
  return cells.map((cell) => {
    const encoders = distinct(block, cells.filter((other) => pair(other) === pair(cell)));
    const rates = cells.filter((other) => block(other) === block(cell)).length;
    return 1 / (distinct(pair, cells) * encoders * rates);
  });
}

function weighted(values, weights) {
  return values.reduce((sum, value, place) => sum + value * weights[place], 0);
}

// Rounds as Python does, half to even, so that the page and the tables show the same digits; toFixed rounds half up.
function fixed(value, digits) {
  const halves = value * 2 ** (digits + 1);
  if (!Number.isInteger(halves) || halves % 2 === 0) return value.toFixed(digits);
  const below = Math.floor(value * 10 ** digits);
  return ((below + (below % 2)) / 10 ** digits).toFixed(digits);
}

function standings(cells) {
  const columns = columnsOf(cells);
  const weights = weightsOf(columns);
  const methods = [...new Set(cells.map((cell) => cell.method))];
  const complete = (method) => columns.every((column) => (column.get(method)?.accuracy ?? null) !== null);
  const ranked = methods.filter(complete);
  const rank = (column, method) => {
    const own = column.get(method).accuracy;
    const others = ranked.map((other) => column.get(other).accuracy);
    const equal = others.filter((value) => Math.abs(value - own) <= TIE).length;
    return others.filter((value) => value - own > TIE).length + (equal + 1) / 2;
  };
  const best = columns.map((column) => Math.min(...ranked.map((method) => rank(column, method))));
  const entries = methods.map((method) => {
    const own = cells.filter((cell) => cell.method === method);
    const entry = { method, supervision: own[0].supervision, rank: null, seeds: own.map((cell) => cell.seeds) };
    if (!ranked.includes(method)) return entry;
    const ranks = columns.map((column) => rank(column, method));
    const wins = weighted(ranks.map((value, place) => Number(value === best[place])), weights);
    const accuracy = weighted(columns.map((column) => column.get(method).accuracy), weights);
    // Rounded, so that sums of the same ranks in another order are equal.
    return { ...entry, rank: Math.round(weighted(ranks, weights) * 1e9) / 1e9, wins, accuracy };
  });
  const key = (entry) => (entry.rank === null ? Infinity : entry.rank);
  entries.sort((a, b) => key(a) - key(b) || (b.accuracy ?? 0) - (a.accuracy ?? 0) || (a.method < b.method ? -1 : 1));
  return { entries, columns: columns.length };
}

function show() {
  const table = document.getElementById("leaderboard");
  const { entries, columns } = standings(chosen());
  const body = document.createElement("tbody");
  for (const entry of entries) {
    const row = body.insertRow();
    const used = entry.seeds.filter((number) => number > 0);
    const seeds = [...new Set([Math.min(...used), Math.max(...used)])].join(" to ");
    const whole = entry.rank !== null;
    const place = 1 + entries.filter((other) => other.rank !== null && other.rank < entry.rank).length;
    const texts = [whole ? String(place) : MISSING, entry.method, entry.supervision, whole ? fixed(entry.rank, 2) : MISSING,
      whole ? `${fixed(100 * entry.wins, 0)} %` : MISSING, whole ? fixed(entry.accuracy, 1) : MISSING, seeds];
    for (const text of texts) row.insertCell().textContent = text;
  }
  while (table.tBodies.length) table.tBodies[0].remove();
  table.append(body);
  for (const head of table.tHead.rows[0].cells) head.removeAttribute("aria-sort");
  document.getElementById("status").textContent =
    `${entries.length} methods over ${columns} column${columns === 1 ? "" : "s"} (data set, encoder, model and rate).`;
}

function makeFilters() {
  const form = document.getElementById("filters");
  for (const name of FILTERS) {
    const values = [...new Set(data.map((cell) => cell[name]))].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    const label = document.createElement("label");
    label.textContent = name;
    const select = document.createElement("select");
    select.name = name;
    select.add(new Option("all", ""));
    for (const value of values) select.add(new Option(name === "rate" ? `${+(100 * value).toFixed(6)} %` : value, String(value)));
    label.append(select);
    form.append(label);
  }
  form.addEventListener("change", show);
  form.addEventListener("submit", (event) => event.preventDefault());
}

if (data.length) {
  makeFilters();
  show();
}
document.querySelectorAll("table.sortable").forEach(makeSortable);
