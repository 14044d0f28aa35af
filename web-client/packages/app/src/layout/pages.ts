import { gridLayout } from "./grid.ts";

/** Where tiles go. Lengths in CSS pixels. */
export interface Room {
  width: number;
  height: number;
  gap: number;
  /** A tile narrower than this shows nobody. */
  minTile: number;
  /** Never more tiles than this on a page, however large the stage is. */
  most: number;
}

/** How many of `count` tiles one page holds: all, or as many as stay wide enough; at least one. */
export function tilesPerPage(count: number, { width, height, gap, minTile, most }: Room): number {
  for (let n = Math.min(count, most); n > 1; n--) {
    if (gridLayout(n, width, height, gap).tileWidth >= minTile) return n;
  }
  return 1;
}

/**
 * The order of tiles after people came or went. Who is there stays where they are: newcomers go to the end, and where
 * there are several pages (`paged`) a place that becomes free is taken by the last one, so that nobody else moves.
 */
export function keepOrder(order: readonly string[], present: readonly string[], paged: boolean): string[] {
  const here = new Set(present);
  const known = new Set(order);
  const all = [...order, ...present.filter((id) => !known.has(id))];
  if (!paged) return all.filter((id) => here.has(id));
  const next = [...all];
  for (let i = 0; i < next.length; i++) {
    while (i < next.length && !here.has(next[i] as string)) {
      const last = next.pop() as string;
      if (i < next.length) next[i] = last;
    }
  }
  return next;
}

/** A speaker who is off the page takes the place of the one on it who spoke longest ago; `fixed` (oneself) stays. */
export function placeSpeaker(
  order: readonly string[],
  page: { from: number; to: number },
  speaker: string,
  spokeAt: ReadonlyMap<string, number>,
  fixed: string,
): readonly string[] {
  const at = order.indexOf(speaker);
  if (at < 0 || (at >= page.from && at < page.to)) return order;
  const quiet = order
    .slice(page.from, page.to)
    .filter((id) => id !== fixed)
    .sort((a, b) => (spokeAt.get(a) ?? -1) - (spokeAt.get(b) ?? -1))[0];
  if (quiet === undefined) return order;
  const next = [...order];
  next[order.indexOf(quiet)] = speaker;
  next[at] = quiet;
  return next;
}
