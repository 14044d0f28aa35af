import { computed, signal } from "@preact/signals";
import { en } from "./en.ts";
import type { Catalogue, Key, Lang, Params } from "./entry.ts";
import { ru } from "./ru.ts";
import { translate } from "./translate.ts";
import { uk } from "./uk.ts";

export type { Key, Lang } from "./entry.ts";

const KEY = "ringhall.lang";
export const catalogues: Record<Lang, Catalogue> = { en, ru, uk };
export const languages: ReadonlyArray<{ lang: Lang; name: string }> = [
  { lang: "en", name: "English" },
  { lang: "ru", name: "Русский" },
  { lang: "uk", name: "Українська" },
];

/** The language chosen here, else the first that the browser asks for and that there is, else English. */
export function pickLanguage(chosen: string | null, wanted: readonly string[]): Lang {
  for (const tag of [chosen ?? "", ...wanted]) {
    const found = languages.find(({ lang }) => tag.toLowerCase().split("-")[0] === lang);
    if (found) return found.lang;
  }
  return "en";
}

export const lang = signal<Lang>(pickLanguage(localStorage.getItem(KEY), navigator.languages));
const catalogue = computed(() => catalogues[lang.value]);

/** A sentence in the page's language. Read in a component, it follows a change of language. */
export function t(key: Key, params?: Params): string {
  return translate(catalogue.value, lang.value, key, params);
}

export function chooseLanguage(choice: Lang): void {
  localStorage.setItem(KEY, choice);
  lang.value = choice;
  document.documentElement.lang = choice;
}
