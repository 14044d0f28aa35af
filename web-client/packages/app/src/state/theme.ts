import { signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
const KEY = "ringhall.theme";

const kept = localStorage.getItem(KEY);
export const theme = signal<Theme>(kept === "light" || kept === "dark" ? kept : "system");

export function chooseTheme(choice: Theme): void {
  localStorage.setItem(KEY, choice);
  theme.value = choice;
  applyTheme();
}

export function applyTheme(): void {
  if (theme.value === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme.value;
}
