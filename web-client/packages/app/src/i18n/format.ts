import type { Catalogue, Lang } from "./entry.ts";
import { translate } from "./translate.ts";

/** "3 min 45 s": the two largest units that are not zero; seconds are left out of hours. */
export function durationInWords(seconds: number, catalogue: Catalogue, lang: Lang): string {
  const whole = Math.max(0, Math.round(seconds));
  const h = Math.floor(whole / 3600);
  const min = Math.floor((whole % 3600) / 60);
  const s = whole % 60;
  const say = (key: "time.h" | "time.min" | "time.s", n: number) => translate(catalogue, lang, key, { n });
  const parts = [
    ...(h > 0 ? [say("time.h", h)] : []),
    ...(min > 0 ? [say("time.min", min)] : []),
    ...((s > 0 && h === 0) || whole === 0 ? [say("time.s", s)] : []),
  ];
  return parts.join(translate(catalogue, lang, "time.join"));
}

/** "3:45", "1:02:09": what a running call shows. */
export function clockTime(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const pad = (n: number) => String(n).padStart(2, "0");
  const h = Math.floor(whole / 3600);
  const min = Math.floor((whole % 3600) / 60);
  return h > 0 ? `${h}:${pad(min)}:${pad(whole % 60)}` : `${min}:${pad(whole % 60)}`;
}

/** Time of day for today, a weekday for this week, else a date; for lists. */
export function shortTime(iso: string, now: Date, lang: Lang): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "";
  const days = daysBetween(date, now);
  if (days === 0) return new Intl.DateTimeFormat(lang, { hour: "2-digit", minute: "2-digit" }).format(date);
  if (days > 0 && days < 7) return new Intl.DateTimeFormat(lang, { weekday: "short" }).format(date);
  return new Intl.DateTimeFormat(lang, { day: "numeric", month: "short" }).format(date);
}

/** Whole calendar days from `date` to `now`. */
export function daysBetween(date: Date, now: Date): number {
  const midnight = (d: Date) => Date.UTC(d.getFullYear(), d.getMonth(), d.getDate());
  return Math.round((midnight(now) - midnight(date)) / 86_400_000);
}
