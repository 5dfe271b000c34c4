"use strict";

const { cells: data, blocks, facts } = JSON.parse(document.getElementById("data").textContent);
const FILTERS = ["folders", "dataset", "encoder", "model", "supervision", "rate"];
const MISSING = "\u2013";
const TIE = 1e-5; // of bench/results/stats.py

// Sorting: every table, by any column, with mouse or keyboard. Groups of a table are sorted each by itself.
function number(text) {
  const value = parseFloat(text.replace(/^[[<]/, "").replace(/,/g, ""));
  return Number.isNaN(value) ? null : value;
}

// A first click sorts texts from a to z, ranks and p-values from the lowest, and other numbers from the highest.
function risesFirst(table, column) {
  const cells = [...table.tBodies].flatMap((body) => [...body.rows].filter((row) => !row.classList.contains("group")));
  const texts = cells.map((row) => row.cells[column].textContent.trim()).filter((text) => text !== MISSING);
  const heading = table.tHead.rows[0].cells[column].textContent;
  return !texts.every((text) => number(text) !== null) || /^(#|p$|p \(|.*rank)/.test(heading);
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
      const sorted = head.getAttribute("aria-sort");
      const ascending = sorted ? sorted === "descending" : risesFirst(table, column);
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
    const key = JSON.stringify([cell.folders, cell.dataset, cell.model, cell.encoder, cell.rate]);
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
    const accuracy = weighted(columns.map((column) => column.get(method).accuracy), weights);
    if (ranked.length === 1) return { ...entry, accuracy }; // it would be the first of one
    const ranks = columns.map((column) => rank(column, method));
    const wins = weighted(ranks.map((value, place) => Number(value === best[place])), weights);
    // Rounded, so that sums of the same ranks in another order are equal.
    return { ...entry, rank: Math.round(weighted(ranks, weights) * 1e9) / 1e9, wins, accuracy };
  });
  const key = (entry) => (entry.rank === null ? Infinity : entry.rank);
  entries.sort((a, b) => key(a) - key(b) || (b.accuracy ?? 0) - (a.accuracy ?? 0) || (a.method < b.method ? -1 : 1));
  return { entries, columns };
}

// What the table below the filters cannot say of all rows: which columns, who is not ranked and why, and the facts on
// the blocks that are shown.
function factsOf(entries, columns, cells) {
  const keys = ["folders", "dataset", "encoder", "model"];
  const shown = blocks.filter((block) => cells.some((cell) => keys.every((name) => cell[name] === block[name])));
  const within = (block) => columns.map((column) => column.values().next().value)
    .filter((cell) => keys.every((name) => cell[name] === block[name])).map((cell) => cell.rate).sort((a, b) => a - b);
  const ranked = entries.filter((entry) => entry.rank !== null).length;
  const alone = ranked ? undefined : entries.find((entry) => entry.accuracy !== undefined);
  if (!cells.length) return facts;
  const found = [...facts, ["Mean rank", ranked
    ? `1 is best, among ${count(ranked, "method")} over ${count(columns.length, "column")} (data set, encoder, model, ` +
      "rate) in which each of them has all seeds"
    : `none, since ${alone ? `only ${alone.method}` : "no method"} is complete in every column, and a rank takes two methods`]];
  found.push(["Columns", shown.map((block) => `${block.name}: ${within(block).map(percent).join(", ")}`).join("; ")]);
  const unranked = new Map();
  for (const entry of entries.filter((one) => one.accuracy === undefined)) {
    const holes = shown.flatMap((block) => {
      const own = cells.filter((cell) => cell.method === entry.method && keys.every((name) => cell[name] === block[name]));
      if (!own.some((cell) => cell.seeds)) return [`${block.name}: all`];
      const lacking = own.filter((cell) => cell.accuracy === null);
      const parts = lacking.map((cell) => `${percent(cell.rate)} (${cell.seeds} of ${count(cell.of, "seed")})`);
      return parts.length ? [`${block.name}: ${parts.join(", ")}`] : [];
    });
    const missing = holes.join("; ");
    unranked.set(missing, [...(unranked.get(missing) ?? []), entry.method]);
  }
  for (const [missing, methods] of unranked)
    found.push([`Not ranked: ${methods.join(", ")}`, `${methods.length === 1 ? "misses" : "miss"} ${missing}`]);
  for (const block of shown) found.push(...block.facts.map(([label, text]) => [label, text]));
  return found;
}

const percent = (rate) => `${+(100 * rate).toFixed(6)} %`;
const count = (amount, noun) => `${amount} ${noun}${amount === 1 ? "" : "s"}`;

function show() {
  const table = document.getElementById("leaderboard");
  const cells = chosen();
  const { entries, columns } = standings(cells);
  const body = document.createElement("tbody");
  for (const entry of entries) {
    const row = body.insertRow();
    const used = entry.seeds.filter((number) => number > 0);
    const seeds = used.length ? [...new Set([Math.min(...used), Math.max(...used)])].join(" to ") : MISSING;
    const whole = entry.rank !== null;
    const place = 1 + entries.filter((other) => other.rank !== null && other.rank < entry.rank).length;
    const texts = [whole ? String(place) : MISSING, entry.method, entry.supervision, whole ? fixed(entry.rank, 2) : MISSING,
      whole ? `${fixed(100 * entry.wins, 0)} %` : MISSING,
      entry.accuracy === undefined ? MISSING : fixed(entry.accuracy, 1), seeds];
    for (const text of texts) row.insertCell().textContent = text;
  }
  while (table.tBodies.length) table.tBodies[0].remove();
  table.append(body);
  for (const head of table.tHead.rows[0].cells) head.removeAttribute("aria-sort");
  const list = document.createElement("ul");
  list.className = "notes";
  for (const [label, text] of factsOf(entries, columns, cells)) {
    const item = document.createElement("li");
    const name = document.createElement("b");
    name.textContent = label;
    item.append(name, `: ${text}`);
    list.append(item);
  }
  document.getElementById("leaderboard-notes").replaceChildren(list);
  document.getElementById("status").textContent = !cells.length ? "No row passes these filters." :
    `${count(entries.length, "method")} over ${count(columns.length, "column")} (data set, encoder, model and rate).`;
}

// The filters stand behind the # of the address, so that a link shows what its sender saw.
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const select of document.querySelectorAll("#filters select")) {
    const value = given.get(select.name);
    if ([...select.options].some((option) => option.value === value)) select.value = value;
  }
}

function writeAddress() {
  const form = new FormData(document.getElementById("filters"));
  const set = [...form].filter(([name, value]) => value && (name !== "folders" || value !== data[0].folders));
  history.replaceState(null, "", `#${new URLSearchParams(set)}`);
}

function makeFilters() {
  const form = document.getElementById("filters");
  for (const name of FILTERS) {
    const values = [...new Set(data.map((cell) => cell[name]))];
    if (name !== "folders") values.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    else if (values.length < 2) continue;
    const label = document.createElement("label");
    label.textContent = name;
    const select = document.createElement("select");
    select.name = name;
    if (name !== "folders") select.add(new Option("all", "")); // rows of two recipes are never ranked together
    for (const value of values) select.add(new Option(name === "rate" ? percent(value) : value, String(value)));
    label.append(select);
    form.append(label);
  }
  form.addEventListener("change", () => {
    writeAddress();
    show();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
}

if (data.length) {
  makeFilters();
  readAddress();
  show();
  addEventListener("hashchange", () => {
    readAddress();
    show();
  });
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => (part.open = true)));
document.querySelectorAll("table.sortable").forEach(makeSortable);
