/** Masculine names of Russian and Ukrainian that end like feminine ones. */
const MASCULINE = new Set(
  "никита илья кузьма фома лука савва данила добрыня микола ілля лука хома сава кузьма данило микита".split(" "),
);
/** Short forms that both women and men have. */
const EITHER = new Set("саша женя валя шура слава паша сашко".split(" "));

/**
 * The grammatical gender that a display name tells, for a past tense that needs one ("отклонил", "отклонила"). Only
 * Cyrillic names tell; for anything doubtful the sentence has a form without gender.
 */
export function genderOf(name: string): "m" | "f" | "x" {
  const words = name.trim().toLowerCase().split(/\s+/);
  if (words.some((word) => /(вна|чна)$/.test(word) && word.length > 5)) return "f";
  if (words.some((word) => /(ович|евич|йович|ич)$/.test(word) && word.length > 5)) return "m";
  const first = words[0] ?? "";
  if (!/^[а-яёіїєґ'’-]+$/.test(first) || EITHER.has(first)) return "x";
  if (MASCULINE.has(first)) return "m";
  if (/[ая]$/.test(first)) return "f";
  // A soft sign ends both (Игорь, Любовь).
  if (/ь$/.test(first)) return ["игорь", "олег", "лазарь"].includes(first) ? "m" : first === "любовь" ? "f" : "x";
  return /[оейбвгджзклмнпрстфхцчшщ]$/.test(first) ? "m" : "x";
}
