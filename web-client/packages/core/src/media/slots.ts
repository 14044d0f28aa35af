import type { Intent, MediaSource, UserId } from "../protocol/index.ts";

/** A tile that somebody looks at. */
export interface WantedTile {
  userId: UserId;
  source: "camera" | "screen";
  /** Device pixels. */
  height: number;
  /** Higher goes first when there is not room for all. */
  priority?: number;
}

/** Which tile each receive m-line was asked to carry, by mid. */
export type Assignment = ReadonlyMap<string, { userId: UserId; source: MediaSource }>;

/**
 * Gives each wanted tile a slot of its kind. A tile keeps the slot it has, so that a picture never restarts because
 * somebody else came or went; tiles beyond the pool get none.
 */
export function assignSlots(
  before: Assignment,
  wanted: readonly WantedTile[],
  slots: ReadonlyArray<{ mid: string; kind: MediaSource }>,
): { assignment: Assignment; intents: Intent[] } {
  const wantedByKey = new Map(wanted.map((tile) => [keyOf(tile), tile]));
  const assignment = new Map<string, { userId: UserId; source: MediaSource }>();
  const placed = new Map<string, string>();
  for (const { mid } of slots) {
    const had = before.get(mid);
    if (had && wantedByKey.has(keyOf(had)) && !placed.has(keyOf(had))) {
      assignment.set(mid, had);
      placed.set(keyOf(had), mid);
    }
  }
  for (const tile of wanted) {
    if (placed.has(keyOf(tile))) continue;
    const free = slots.find(({ mid, kind }) => kind === tile.source && !assignment.has(mid));
    if (!free) continue;
    assignment.set(free.mid, { userId: tile.userId, source: tile.source });
    placed.set(keyOf(tile), free.mid);
  }
  const intents = [...wantedByKey.values()].flatMap((tile): Intent[] => {
    const mid = placed.get(keyOf(tile));
    if (mid === undefined) return [];
    const { userId, source, height, priority = 0 } = tile;
    return [{ mid, participant: userId, source, height: Math.max(0, Math.round(height)), fps: 0, priority }];
  });
  return { assignment, intents };
}

const keyOf = ({ userId, source }: { userId: UserId; source: MediaSource }) => `${source} ${userId}`;
