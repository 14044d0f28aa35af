import { signal } from "@preact/signals";
import { Rest, type ServerInfo, type Session } from "@ringhall/core";

// Per tab, so that two tabs can be two people.
const KEY = "ringhall.session";
/** Refreshed when this share of its life is over. */
const REFRESH_AT = 0.8;
const MIN_REFRESH_MS = 30_000;
/** setTimeout overflows beyond this and would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const server = signal<ServerInfo | null>(null);
export const session = signal<Session | null>(restore());
/** Signed out by the server, not by the person. */
export const expired = signal(false);

/** Told of every refreshed token. */
export const refreshed = signal(0);

export const rest = new Rest("", () => session.value?.token ?? null);
let refreshTimer: ReturnType<typeof setTimeout> | undefined;

function restore(): Session | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null") as Session | null;
    return kept?.token && kept.user ? kept : null;
  } catch {
    return null;
  }
}

export function setSession(next: Session | null): void {
  session.value = next;
  if (next) sessionStorage.setItem(KEY, JSON.stringify(next));
  else sessionStorage.removeItem(KEY);
  scheduleRefresh();
}

export function scheduleRefresh(): void {
  clearTimeout(refreshTimer);
  const current = session.value;
  if (!current) return;
  const left = Date.parse(current.expiresAt) - Date.now();
  if (Number.isNaN(left)) return;
  const wait = Math.min(MAX_TIMER_MS, Math.max(MIN_REFRESH_MS, left * REFRESH_AT));
  refreshTimer = setTimeout(() => {
    // A failure is tried again by the next timer; a token that is really over ends the connection with its own code.
    rest.refresh().then((next) => {
      setSession(next);
      refreshed.value += 1;
    }, scheduleRefresh);
  }, wait);
}
