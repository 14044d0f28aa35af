import { expect, test } from "vitest";
import { en } from "./en.ts";
import type { Catalogue, Entry, Key, Lang } from "./entry.ts";
import { genderOf } from "./gender.ts";
import { ru } from "./ru.ts";
import { translate } from "./translate.ts";
import { uk } from "./uk.ts";

const catalogues: Array<[Lang, Catalogue]> = [
  ["en", en],
  ["ru", ru],
  ["uk", uk],
];
const formsOf = (entry: Entry) => (typeof entry === "string" ? [entry] : Object.values(entry));
const placeholders = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

test.each(catalogues)("%s has every key, no other, and no empty text", (_lang, catalogue) => {
  expect(Object.keys(catalogue).sort()).toEqual(Object.keys(en).sort());
  for (const entry of Object.values(catalogue)) for (const form of formsOf(entry)) expect(form).not.toBe("");
});

test.each(catalogues)("%s uses the same placeholders as English in every form", (_lang, catalogue) => {
  for (const key of Object.keys(en) as Key[]) {
    const [wanted] = formsOf(en[key]).map(placeholders);
    for (const form of formsOf(catalogue[key])) expect([key, placeholders(form)]).toEqual([key, wanted]);
  }
});

test.each(catalogues)("%s has a form for every plural that the language knows", (lang, catalogue) => {
  const { pluralCategories } = new Intl.PluralRules(lang).resolvedOptions();
  for (const [key, entry] of Object.entries(catalogue)) {
    if (typeof entry === "string" || !("other" in entry)) continue;
    expect([key, Object.keys(entry).sort()]).toEqual([key, [...pluralCategories].sort()]);
  }
});

test("the Russian sentences are those of the source plan", () => {
  const say = (key: Key, params = {}) => translate(ru, "ru", key, params);
  expect(say("toast.declined", { name: "Мария" })).toBe("Мария отклонила звонок");
  expect(say("toast.timeout", { name: "Мария" })).toBe("Мария не ответила на звонок");
  expect(say("toast.declined", { name: "Иван Иванов" })).toBe("Иван Иванов отклонил звонок");
  expect(say("ended.title")).toBe("Звонок завершён");
  expect(say("call.disabled.chat")).toBe("Звонок уже идёт");
  expect(say("call.exists")).toBe("Звонок уже идёт. Присоединиться?");
});

test.each([
  [1, "1 участник"],
  [3, "3 участника"],
  [11, "11 участников"],
  [21, "21 участник"],
])("%i is counted as Russian counts", (n, text) => {
  expect(translate(ru, "ru", "chat.members", { n })).toBe(text);
});

test.each([
  ["Мария Петрова", "f"],
  ["Ольга", "f"],
  ["Никита", "m"],
  ["Илья Ильич", "m"],
  ["Сергей Смирнов", "m"],
  ["Саша", "x"],
  ["Саша Ивановна", "f"],
  ["James Carter", "x"],
  ["", "x"],
])("the gender of %j is %s", (name, gender) => {
  expect(genderOf(name)).toBe(gender);
});

test("a parameter that is missing stays visible instead of becoming 'undefined'", () => {
  expect(translate(en, "en", "toast.busy")).toBe("{name} is in another call");
});
