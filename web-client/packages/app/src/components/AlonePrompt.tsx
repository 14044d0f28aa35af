import { useSignal } from "@preact/signals";
import type { CallSession } from "@ringhall/core";
import { useEffect } from "preact/hooks";
import { clockTime } from "../i18n/format.ts";
import { t } from "../i18n/index.ts";
import { attempt, leave } from "../state/actions.ts";

/** Everybody else has gone: says when the call ends by itself, and asks. */
export function AlonePrompt({ session, until }: { session: CallSession; until: number | null }) {
  const now = useSignal(performance.now());
  useEffect(() => {
    if (until === null) return undefined;
    now.value = performance.now();
    const timer = setInterval(() => {
      now.value = performance.now();
    }, 1_000);
    return () => clearInterval(timer);
  }, [until]);
  if (until === null) return null;
  return (
    <div class="alone" role="alert" data-testid="alone-prompt">
      <p>
        {t("stage.alone")}. {t("alone.endsIn")}{" "}
        <span role="timer">{clockTime(Math.max(0, until - now.value) / 1000)}</span>
      </p>
      <button
        type="button"
        class="button button-small button-primary"
        data-testid="alone-stay"
        onClick={() => void attempt(session.stay())}
      >
        {t("alone.stay")}
      </button>
      <button type="button" class="button button-small" data-testid="alone-leave" onClick={leave}>
        {t("control.leave")}
      </button>
    </div>
  );
}
