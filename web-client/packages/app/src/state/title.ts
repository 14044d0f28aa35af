import { effect, signal } from "@preact/signals";

const PRODUCT = "Ringhall";

/** What the page shows: a chat's name, or nothing. */
export const pageTitle = signal("");
/** Shown instead for as long as it is set, as while a ring flashes. */
export const titleAlert = signal<string | null>(null);

export function showTitle(): void {
  effect(() => {
    document.title = titleAlert.value ?? (pageTitle.value ? `${pageTitle.value} – ${PRODUCT}` : PRODUCT);
  });
}
