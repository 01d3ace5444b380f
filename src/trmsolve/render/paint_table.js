const cells = [...document.querySelectorAll("#grid td")];
const edges = cells.map((td) => [...td.classList].filter((name) => name === "top" || name === "left"));

function paint(drawn) {
  drawn.forEach(([text, role, haze, label], i) => {
    const td = cells[i];
    td.textContent = text;
    td.className = [role, ...edges[i]].join(" ");
    td.style.setProperty("--haze", haze);
    td.title = label;
  });
}
