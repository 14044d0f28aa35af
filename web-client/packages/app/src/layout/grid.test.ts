import { expect, test } from "vitest";
import { gridLayout } from "./grid.ts";

const stages: Array<[string, number, number]> = [
  ["a wide screen", 1280, 640],
  ["a phone upright", 390, 700],
  ["a square", 800, 800],
];

test.each(stages)("on %s every tile is between 4:3 and 16:9 and all of them fit", (_name, width, height) => {
  for (let count = 1; count <= 9; count++) {
    const { columns, rows, tileWidth, tileHeight } = gridLayout(count, width, height, 10);
    expect(tileWidth / tileHeight).toBeGreaterThanOrEqual(4 / 3 - 1e-9);
    expect(tileWidth / tileHeight).toBeLessThanOrEqual(16 / 9 + 1e-9);
    expect(columns * rows).toBeGreaterThanOrEqual(count);
    expect(columns * tileWidth + (columns - 1) * 10).toBeLessThanOrEqual(width + 1e-6);
    expect(rows * tileHeight + (rows - 1) * 10).toBeLessThanOrEqual(height + 1e-6);
  }
});

test.each([
  [1, 1280, 640, 1],
  [2, 1280, 640, 2],
  [2, 390, 700, 1],
  [4, 1280, 640, 2],
  [6, 390, 700, 2],
  [9, 1280, 720, 3],
])("%i tiles on %i x %i are in %i columns", (count, width, height, columns) => {
  expect(gridLayout(count, width, height, 10).columns).toBe(columns);
});

test("no other number of columns gives larger tiles", () => {
  const gap = 10;
  const area = (count: number, columns: number, width: number, height: number) => {
    const rows = Math.ceil(count / columns);
    const w = (width - gap * (columns - 1)) / columns;
    const h = (height - gap * (rows - 1)) / rows;
    const aspect = Math.min(16 / 9, Math.max(4 / 3, w / h));
    return Math.min(w, h * aspect) ** 2 / aspect;
  };
  for (const [, width, height] of stages) {
    for (let count = 1; count <= 9; count++) {
      const { tileWidth, tileHeight } = gridLayout(count, width, height, gap);
      for (let columns = 1; columns <= count; columns++) {
        expect(tileWidth * tileHeight).toBeGreaterThanOrEqual(area(count, columns, width, height) - 2);
      }
    }
  }
});

test("a stage that is not measured yet has no tiles to show", () => {
  expect(gridLayout(3, 0, 0, 10)).toMatchObject({ tileWidth: 0, tileHeight: 0 });
});
