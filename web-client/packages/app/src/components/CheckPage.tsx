import { useComputed, useSignal } from "@preact/signals";
import { asText, type Results, STEPS, type StepResult, verdict } from "../check/result.ts";
import { runCheck } from "../check/run.ts";
import { type Key, t } from "../i18n/index.ts";
import { server, session } from "../state/auth.ts";
import { Brand } from "./Brand.tsx";
import { Icon } from "./Icon.tsx";

const say = ({ key, params }: StepResult) => t(key, params);

/** `/check`: what stands between this browser and a call, and a text that one can send to an administrator. */
export function CheckPage() {
  const results = useSignal<Results>({});
  const state = useSignal<"new" | "running" | "done">("new");
  const copied = useSignal(false);
  const level = useComputed(() => verdict(results.value));

  const start = async () => {
    state.value = "running";
    results.value = {};
    copied.value = false;
    try {
      await runCheck(session.value?.token ?? null, (id, result) => {
        results.value = { ...results.value, [id]: result };
      });
    } finally {
      state.value = "done";
    }
  };
  const text = () =>
    asText(
      results.value,
      {
        when: new Date(),
        address: location.origin + location.pathname,
        browser: navigator.userAgent,
        version: server.value?.version ?? "unknown",
      },
      say,
    );
  const copy = async () => {
    await navigator.clipboard.writeText(text());
    copied.value = true;
  };
  const download = () => {
    const url = URL.createObjectURL(new Blob([text()], { type: "text/plain" }));
    const link = Object.assign(document.createElement("a"), { href: url, download: "ringhall-check.txt" });
    link.click();
    URL.revokeObjectURL(url);
  };

  return (
    <main class="door">
      <section class="door-card check">
        <Brand />
        <h1 class="check-title">{t("check.title")}</h1>
        <p class="hint hint-strong">{t("check.intro")}</p>
        {!session.value && (
          <p class="hint">
            {t("check.signIn")} <a href="/">{t("signIn.submit")}</a>
          </p>
        )}
        <button
          type="button"
          class="button button-primary"
          data-testid="check-start"
          disabled={state.value === "running"}
          onClick={() => void start()}
        >
          {t(state.value === "running" ? "check.running" : state.value === "done" ? "check.again" : "check.start")}
        </button>
        {state.value !== "new" && <Steps results={results.value} running={state.value === "running"} />}
        {state.value === "done" && (
          <>
            <p
              class={`check-verdict check-${level.value}`}
              role="status"
              data-testid="check-done"
              data-level={level.value}
            >
              {t(`check.verdict.${level.value}` as Key)}
            </p>
            <div class="check-tools">
              {navigator.clipboard && (
                <button type="button" class="button" data-testid="check-copy" onClick={() => void copy()}>
                  {t(copied.value ? "check.copied" : "check.copy")}
                </button>
              )}
              <button type="button" class="button" data-testid="check-download" onClick={download}>
                {t("check.download")}
              </button>
            </div>
          </>
        )}
      </section>
    </main>
  );
}

function Steps({ results, running }: { results: Results; running: boolean }) {
  const next = STEPS.find((id) => !results[id]);
  return (
    <ol class="check-steps">
      {STEPS.map((id) => {
        const result = results[id];
        const level = result?.level ?? (running && id === next ? "running" : "waiting");
        return (
          <li
            key={id}
            class={`check-step check-${level}`}
            data-testid="check-step"
            data-step={id}
            data-level={level}
            data-key={result?.key}
            data-detail={result?.detail}
          >
            <span class="check-mark" aria-hidden="true">
              {level === "ok" && <Icon name="check" />}
              {level === "fault" && <Icon name="close" />}
              {level === "warning" && "!"}
            </span>
            <span class="check-name">{t(`check.step.${id}`)}</span>
            <span class="check-text">{result ? say(result) : level === "running" ? t("check.running") : ""}</span>
          </li>
        );
      })}
    </ol>
  );
}
