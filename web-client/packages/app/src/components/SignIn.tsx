import { useSignal } from "@preact/signals";
import { type DemoUser, RinghallError } from "@ringhall/core";
import { useRef } from "preact/hooks";
import { t } from "../i18n/index.ts";
import { startClient } from "../state/app.ts";
import { expired, rest, server, setSession } from "../state/auth.ts";
import { roomName } from "../state/route.ts";
import { Avatar } from "./Avatar.tsx";
import { Brand } from "./Brand.tsx";

export function SignIn() {
  const login = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);
  const problem = useSignal<string | null>(null);
  const busy = useSignal(false);

  const enter = async (name: string, secret: string) => {
    busy.value = true;
    problem.value = null;
    try {
      setSession(await rest.signIn(name, secret));
      await startClient();
    } catch (error) {
      const code = error instanceof RinghallError ? error.code : "INTERNAL";
      const wrong = code === "UNAUTHENTICATED" || code === "NOT_FOUND" || code === "FORBIDDEN";
      problem.value = wrong ? t("signIn.wrong") : t(`error.${code}`);
    } finally {
      busy.value = false;
    }
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    void enter(login.current?.value.trim() ?? "", password.current?.value ?? "");
  };

  const users = server.value?.demo?.users ?? [];
  return (
    <main class="door">
      <section class="door-card">
        <Brand />
        {server.value?.setupRequired && <p class="hint hint-strong">{t("signIn.needsSetup")}</p>}
        {roomName.value !== null && <p class="hint hint-strong">{t("room.signIn", { name: roomName.value })}</p>}
        {expired.value && <p class="hint hint-strong">{t("signIn.expired")}</p>}
        <form class="form" onSubmit={submit}>
          <label class="field">
            <span>{t("signIn.login")}</span>
            <input
              ref={login}
              data-testid="login-name"
              name="login"
              autocomplete="username"
              autocapitalize="none"
              required
            />
          </label>
          <label class="field">
            <span>{t("signIn.password")}</span>
            <input
              ref={password}
              data-testid="login-password"
              name="password"
              type="password"
              autocomplete="current-password"
              required
            />
          </label>
          {problem.value && (
            <p class="problem" role="alert">
              {problem.value}
            </p>
          )}
          <button class="button button-primary" type="submit" data-testid="login-submit" disabled={busy.value}>
            {t("signIn.submit")}
          </button>
        </form>
        {users.length > 0 && <DemoUsers users={users} disabled={busy.value} onPick={enter} />}
      </section>
    </main>
  );
}

interface DemoProps {
  users: DemoUser[];
  disabled: boolean;
  onPick: (login: string, password: string) => Promise<void>;
}

function DemoUsers({ users, disabled, onPick }: DemoProps) {
  return (
    <div class="demo">
      <h2 class="demo-title">{t("signIn.demo")}</h2>
      <div class="demo-users">
        {users.map(({ login, name, password }) => (
          <button
            key={login}
            type="button"
            class="demo-user"
            data-testid="demo-user"
            data-login={login}
            disabled={disabled}
            onClick={() => void onPick(login, password)}
          >
            <Avatar id={login} name={name} size="small" />
            <span>{name}</span>
          </button>
        ))}
      </div>
      <p class="hint">{t("signIn.demoHint")}</p>
    </div>
  );
}
