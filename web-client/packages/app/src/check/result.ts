import type { Key } from "../i18n/index.ts";

/** What is looked at, in this order. */
export const STEPS = [
  "page",
  "mic",
  "camera",
  "server",
  "socket",
  "udp",
  "tcp",
  "turnUdp",
  "turnTcp",
  "turnTls",
  "bandwidth",
] as const;
export type StepId = (typeof STEPS)[number];

/** `skipped`: it could not be tried, and `key` says why. */
export type Level = "ok" | "warning" | "fault" | "skipped";

export interface StepResult {
  level: Level;
  /** The sentence: what was seen and, where something is wrong, what to do. */
  key: Key;
  params?: Record<string, string | number>;
  /** For the administrator: addresses, codes, times. */
  detail?: string;
}

export type Results = Partial<Record<StepId, StepResult>>;

const worst: Level[] = ["fault", "warning"];

/** The verdict over all of it. */
export function verdict(results: Results): Level {
  return worst.find((level) => Object.values(results).some((result) => result.level === level)) ?? "ok";
}

interface About {
  when: Date;
  address: string;
  browser: string;
  version: string;
}

/** The text that one sends to an administrator. */
export function asText(results: Results, about: About, say: (result: StepResult) => string): string {
  const lines = [
    "Ringhall connection check",
    `when: ${about.when.toISOString()}`,
    `page: ${about.address}`,
    `browser: ${about.browser}`,
    `server: ${about.version}`,
    "",
  ];
  for (const id of STEPS) {
    const result = results[id];
    if (!result) continue;
    lines.push(`${result.level.padEnd(8)} ${id.padEnd(10)} ${say(result)}`);
    if (result.detail) lines.push(`${" ".repeat(20)}${result.detail}`);
  }
  return `${lines.join("\n")}\n`;
}
