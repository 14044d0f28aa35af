import type { RosterEntry, UserId } from "../protocol/index.ts";

/** Whether somebody holds a seat: is in, or is expected back. */
export function isSeated(entry: RosterEntry): boolean {
  return entry.status === "joined" || entry.status === "reconnecting";
}

/**
 * People in the order in which they were first seen. A snapshot keeps that order for those who were here before, so
 * that nobody's tile moves when the connection comes back.
 */
export function replaceRoster(before: readonly RosterEntry[], now: readonly RosterEntry[]): RosterEntry[] {
  const fresh = new Map(now.map((entry) => [entry.id, entry]));
  const kept = before.flatMap((entry) => fresh.get(entry.id) ?? []);
  const known = new Set(kept.map((entry) => entry.id));
  return [...kept, ...now.filter((entry) => !known.has(entry.id))];
}

/** One person came in or changed. Somebody who takes a seat goes behind those who have one. */
export function upsert(roster: readonly RosterEntry[], entry: RosterEntry): RosterEntry[] {
  const before = roster.find((known) => known.id === entry.id);
  if (before && isSeated(before) === isSeated(entry)) {
    return roster.map((known) => (known.id === entry.id ? entry : known));
  }
  return [...roster.filter((known) => known.id !== entry.id), entry];
}

/** One person is out. */
export function remove(roster: readonly RosterEntry[], id: UserId): RosterEntry[] {
  return roster.filter((entry) => entry.id !== id);
}
