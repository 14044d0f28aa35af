import { expect, test } from "vitest";
import { gridLayout } from "./grid.ts";
import { keepOrder, placeSpeaker, tilesPerPage } from "./pages.ts";

const desktop = { width: 1200, height: 640, gap: 10, minTile: 200, most: 49 };

test("a few people are on one page", () => {
  expect(tilesPerPage(9, desktop)).toBe(9);
});

test("a hundred people are on pages whose tiles are wide enough", () => {
  const n = tilesPerPage(100, desktop);
  expect(n).toBeGreaterThan(9);
  expect(gridLayout(n, desktop.width, desktop.height, desktop.gap).tileWidth).toBeGreaterThanOrEqual(200);
  expect(gridLayout(n + 1, desktop.width, desktop.height, desktop.gap).tileWidth).toBeLessThan(200);
});

test("a stage too small for two still shows one", () => {
  expect(tilesPerPage(5, { ...desktop, width: 120, height: 90 })).toBe(1);
});

test("newcomers go to the end, and on one page the rest closes up", () => {
  expect(keepOrder(["a", "b", "c"], ["c", "a", "d"], false)).toEqual(["a", "c", "d"]);
});

test("with several pages nobody moves but the last one, who takes the free place", () => {
  expect(keepOrder(["a", "b", "c", "d"], ["a", "c", "d"], true)).toEqual(["a", "d", "c"]);
  expect(keepOrder(["a", "b", "c", "d"], ["a", "b"], true)).toEqual(["a", "b"]);
  expect(keepOrder(["a", "b", "c", "d"], ["c", "d", "e"], true)).toEqual(["e", "d", "c"]);
  expect(keepOrder(["a"], [], true)).toEqual([]);
});

test("a speaker on the page moves nobody", () => {
  const order = ["me", "a", "b", "c"];
  expect(placeSpeaker(order, { from: 0, to: 3 }, "b", new Map(), "me")).toBe(order);
});

test("a speaker off the page takes the place of who spoke longest ago, never one's own", () => {
  const spoke = new Map([
    ["a", 5],
    ["b", 3],
  ]);
  expect(placeSpeaker(["me", "a", "b", "c"], { from: 0, to: 3 }, "c", spoke, "me")).toEqual(["me", "a", "c", "b"]);
});
