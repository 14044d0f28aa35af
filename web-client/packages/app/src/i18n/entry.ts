import type { en } from "./en.ts";

export type Key = keyof typeof en;
export type Lang = "en" | "ru" | "uk";

/** By `Intl.PluralRules` category of `n`. */
export type Plural = { other: string } & Partial<Record<Intl.LDMLPluralRule, string>>;
/** By the grammatical gender of `name`; `x` where the name does not tell. */
export type Gendered = { m: string; f: string; x: string };
export type Entry = string | Plural | Gendered;
export type Catalogue = Record<Key, Entry>;
export type Params = Record<string, string | number>;
