/** A grid of equal tiles. Lengths in CSS pixels. */
export interface Grid {
  columns: number;
  rows: number;
  tileWidth: number;
  tileHeight: number;
}

const WIDEST = 16 / 9;
const NARROWEST = 4 / 3;

/**
 * The number of columns that gives `count` equal tiles the most area in a stage, with every tile between 4:3 and 16:9.
 * Of equal areas the one with fewer columns wins, which keeps two people side by side only where that is larger.
 */
export function gridLayout(count: number, width: number, height: number, gap: number): Grid {
  let best: Grid = { columns: 1, rows: Math.max(1, count), tileWidth: 0, tileHeight: 0 };
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const cellWidth = (width - gap * (columns - 1)) / columns;
    const cellHeight = (height - gap * (rows - 1)) / rows;
    if (cellWidth <= 0 || cellHeight <= 0) continue;
    const aspect = Math.min(WIDEST, Math.max(NARROWEST, cellWidth / cellHeight));
    const tileWidth = Math.min(cellWidth, cellHeight * aspect);
    const tileHeight = tileWidth / aspect;
    if (tileWidth * tileHeight > best.tileWidth * best.tileHeight + 1) best = { columns, rows, tileWidth, tileHeight };
  }
  return best;
}
