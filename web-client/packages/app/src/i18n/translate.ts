import type { Catalogue, Entry, Key, Lang, Params } from "./entry.ts";
import { genderOf } from "./gender.ts";

const PLACEHOLDER = /\{(\w+)\}/g;

/** Finds the form of an entry that fits the parameters, and fills them in. */
export function translate(catalogue: Catalogue, lang: Lang, key: Key, params: Params = {}): string {
  return formOf(catalogue[key], lang, params).replace(PLACEHOLDER, (all, name: string) => String(params[name] ?? all));
}

function formOf(entry: Entry, lang: Lang, params: Params): string {
  if (typeof entry === "string") return entry;
  if ("other" in entry) return entry[pluralRules(lang).select(Number(params["n"] ?? 0))] ?? entry.other;
  return entry[genderOf(String(params["name"] ?? ""))];
}

const rules = new Map<Lang, Intl.PluralRules>();

function pluralRules(lang: Lang): Intl.PluralRules {
  let found = rules.get(lang);
  if (!found) {
    found = new Intl.PluralRules(lang);
    rules.set(lang, found);
  }
  return found;
}
