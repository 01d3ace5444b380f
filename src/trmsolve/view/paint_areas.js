// A step is a string with one digit per cell: which of the paths the cell belongs to. Letters never move.
const grid = $("grid");
const layers = [...grid.querySelectorAll("path")];
const { width, height } = grid.viewBox.baseVal;

function paint(digits) {
  const size = Math.round(Math.sqrt((width * height) / digits.length));
  const columns = width / size;
  const outline = layers.map(() => "");
  for (let at = 0, end; at < digits.length; at = end) {
    const rowEnd = at - (at % columns) + columns;
    end = at + 1;
    while (end < rowEnd && digits[end] === digits[at]) end++;
    const x = (at % columns) * size;
    const y = Math.floor(at / columns) * size;
    const length = (end - at) * size;
    outline[digits[at]] += `M${x} ${y}h${length}v${size}h${-length}z`;
  }
  layers.forEach((path, i) => path.setAttribute("d", outline[i]));
}
