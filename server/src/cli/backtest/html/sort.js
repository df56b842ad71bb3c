// A click on a column's head sorts by it, another turns the order round. Nothing else needs a script.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
    const number = head.classList.contains("n");
    const key = (row) => {
      const text = row.cells[column].textContent;
      return number ? Number(text.replace(/,/g, "")) : text;
    };
    const rows = [...table.tBodies[0].rows];
    rows.sort((one, other) => {
      const [a, b] = [key(one), key(other)];
      return (a < b ? -1 : a > b ? 1 : 0) * down;
    });
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down === 1 ? "ascending" : "descending");
    table.tBodies[0].append(...rows);
  }));
}
