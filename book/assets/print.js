// Called once before the whole book is printed (lib/book/pdf.py), in a window as wide as the text:
// turns sections with tables of many columns, and makes smaller what is still too wide.
() => {
  const COLUMNS = 7; // from which on a table is wide
  const tables = [...document.querySelectorAll("article table")];
  for (const table of tables) {
    const wide = table.rows[0].cells.length >= COLUMNS;
    if (wide) table.closest("section").classList.add("print-wide");
  }
  for (const table of tables) {
    const scale = table.parentElement.clientWidth / table.offsetWidth;
    if (scale < 1) table.style.zoom = scale;
  }
  for (const formula of document.querySelectorAll("mjx-container[display]")) {
    const scale = formula.parentElement.clientWidth / formula.scrollWidth;
    const size = parseFloat(formula.style.fontSize) || 100; // MathJax's own, in per cent
    if (scale < 1) formula.style.fontSize = `${size * scale}%`;
  }
}
