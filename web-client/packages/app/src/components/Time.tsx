import { lang } from "../i18n/index.ts";

/** A time of day in the page's language. */
export function Time({ iso }: { iso: string }) {
  const text = new Intl.DateTimeFormat(lang.value, { hour: "2-digit", minute: "2-digit" }).format(new Date(iso));
  return <time dateTime={iso}>{text}</time>;
}
