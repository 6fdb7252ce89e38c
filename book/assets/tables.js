// Tables of more than two columns become cards on a phone (book.css): each cell gets the heading of
// its column. Their roles are named, since a browser forgets them where a table is no longer one.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll(".bd-content table")) {
    const heads = [...(table.tHead?.rows ?? [])].at(-1)?.cells ?? [];
    if (heads.length < 3) continue;
    table.classList.add("cards");
    table.setAttribute("role", "table");
    for (const row of table.rows) {
      row.setAttribute("role", "row");
      [...row.cells].forEach((cell, i) => {
        const within = row.parentElement === table.tHead;
        cell.setAttribute("role", within ? "columnheader" : "cell");
        if (within) return;
        cell.dataset.head = heads[i]?.textContent.trim() ?? "";
        cell.classList.toggle("nothing", !cell.textContent.trim());
        const content = document.createElement("div"); // what stands next to the heading
        content.append(...cell.childNodes);
        cell.append(content);
      });
    }
  }
});
