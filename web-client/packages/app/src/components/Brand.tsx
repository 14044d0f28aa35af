import { t } from "../i18n/index.ts";

export function Brand() {
  return (
    <header class="brand">
      <img class="brand-mark" src="/icon.svg" alt="" width="52" height="52" />
      <h1 class="brand-name">Ringhall</h1>
      <p class="brand-line">{t("app.tagline")}</p>
    </header>
  );
}
