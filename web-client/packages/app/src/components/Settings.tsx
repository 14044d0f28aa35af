import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { chooseLanguage, lang, languages, t } from "../i18n/index.ts";
import { signOut } from "../state/app.ts";
import { chooseTheme, type Theme, theme } from "../state/theme.ts";
import { Icon } from "./Icon.tsx";

const THEMES: Theme[] = ["system", "light", "dark"];

export function Settings() {
  const open = useSignal(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open.value) return undefined;
    const close = (event: Event) => {
      const pressedEscape = event instanceof KeyboardEvent && event.key === "Escape";
      if (pressedEscape || (event.type === "pointerdown" && !box.current?.contains(event.target as Node)))
        open.value = false;
    };
    addEventListener("pointerdown", close);
    addEventListener("keydown", close);
    return () => {
      removeEventListener("pointerdown", close);
      removeEventListener("keydown", close);
    };
  }, [open.value]);
  return (
    <div class="settings" ref={box}>
      <button
        type="button"
        class="icon-button"
        aria-label={t("menu.open")}
        title={t("menu.open")}
        aria-expanded={open.value}
        onClick={() => {
          open.value = !open.value;
        }}
      >
        <Icon name="gear" />
      </button>
      {open.value && <Panel />}
    </div>
  );
}

function Panel() {
  return (
    <div class="settings-panel">
      <fieldset class="choice">
        <legend>{t("menu.language")}</legend>
        {languages.map(({ lang: code, name }) => (
          <label key={code}>
            <input type="radio" name="lang" checked={lang.value === code} onChange={() => chooseLanguage(code)} />
            <span lang={code}>{name}</span>
          </label>
        ))}
      </fieldset>
      <fieldset class="choice">
        <legend>{t("menu.theme")}</legend>
        {THEMES.map((choice) => (
          <label key={choice}>
            <input type="radio" name="theme" checked={theme.value === choice} onChange={() => chooseTheme(choice)} />
            <span>{t(`menu.theme.${choice}`)}</span>
          </label>
        ))}
      </fieldset>
      <NotificationChoice />
      <button type="button" class="menu-item" data-testid="sign-out" onClick={signOut}>
        <Icon name="leave" />
        {t("menu.signOut")}
      </button>
    </div>
  );
}

function NotificationChoice() {
  const permission = useSignal("Notification" in window ? Notification.permission : "denied");
  if (permission.value !== "default") {
    return (
      <p class="menu-note">
        <Icon name="bell" />
        {t(permission.value === "granted" ? "menu.notificationsOn" : "menu.notificationsBlocked")}
      </p>
    );
  }
  return (
    <button
      type="button"
      class="menu-item"
      onClick={() =>
        void Notification.requestPermission().then((answer) => {
          permission.value = answer;
        })
      }
    >
      <Icon name="bell" />
      {t("menu.notifications")}
    </button>
  );
}
