// A step is a string with one digit (base 36) per cell: which of the paths the cell belongs to. Letters never move.
const grid = $("grid");
const layers = [...grid.querySelectorAll("path")];
const tiled = layers.map((path) => path.classList.contains("tile")); // each of its cells has an outline
const { width, height } = grid.viewBox.baseVal;

function paint(digits) {
  const size = Math.round(Math.sqrt((width * height) / digits.length));
  const columns = width / size;
  const outline = layers.map(() => "");
  for (let at = 0, end; at < digits.length; at = end) {
    const rowEnd = at - (at % columns) + columns;
    end = at + 1;
    const k = parseInt(digits[at], 36);
    while (!tiled[k] && end < rowEnd && digits[end] === digits[at]) end++;
    const gap = tiled[k] ? 0.04 * size : 0;
    const x = (at % columns) * size + gap;
    const y = Math.floor(at / columns) * size + gap;
    const length = (end - at) * size - 2 * gap;
    outline[k] += `M${x} ${y}h${length}v${size - 2 * gap}h${-length}z`;
  }
  layers.forEach((path, i) => path.setAttribute("d", outline[i]));
}
