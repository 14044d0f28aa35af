import { useSignal } from "@preact/signals";
import { RinghallError } from "@ringhall/core";
import { t } from "../i18n/index.ts";
import { startClient } from "../state/app.ts";
import { rest, server, setSession } from "../state/auth.ts";
import { Brand } from "./Brand.tsx";

const MIN_PASSWORD = 8;

/** First start. The one-time code is in the fragment, which a browser never sends to a server or a log. */
export function Setup() {
  const code = decodeURIComponent(location.hash.slice(1));
  const problem = useSignal<string | null>(code ? null : t("setup.noCode"));
  const busy = useSignal(false);

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name) ?? "");
    busy.value = true;
    problem.value = null;
    try {
      const account = { code, login: text("login").trim(), name: text("name").trim(), password: text("password") };
      setSession(await rest.setup(account));
      history.replaceState(null, "", "/");
      if (server.value) server.value = { ...server.value, setupRequired: false };
      await startClient();
    } catch (error) {
      const refused = error instanceof RinghallError ? error.code : "INTERNAL";
      const stale = ["UNAUTHENTICATED", "FORBIDDEN", "GONE", "NOT_FOUND"].includes(refused);
      problem.value = stale ? t("setup.badCode") : t(`error.${refused}`);
    } finally {
      busy.value = false;
    }
  };

  return (
    <main class="door">
      <section class="door-card">
        <Brand />
        <p class="hint hint-strong">{t("setup.intro")}</p>
        <form class="form" onSubmit={submit}>
          <label class="field">
            <span>{t("setup.name")}</span>
            <input name="name" autocomplete="name" required />
          </label>
          <label class="field">
            <span>{t("signIn.login")}</span>
            <input
              name="login"
              autocomplete="username"
              autocapitalize="none"
              pattern="[\p{L}\p{N}._@\-]+"
              maxLength={64}
              title={t("setup.loginHint")}
              required
            />
          </label>
          <label class="field">
            <span>{t("signIn.password")}</span>
            <input name="password" type="password" autocomplete="new-password" minLength={MIN_PASSWORD} required />
            <small>{t("setup.passwordHint")}</small>
          </label>
          {problem.value && (
            <p class="problem" role="alert">
              {problem.value}
            </p>
          )}
          <button class="button button-primary" type="submit" disabled={busy.value || !code}>
            {t("setup.submit")}
          </button>
        </form>
      </section>
    </main>
  );
}
