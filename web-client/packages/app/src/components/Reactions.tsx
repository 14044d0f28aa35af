import { useSignal } from "@preact/signals";
import type { CallSession } from "@ringhall/core";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n/index.ts";
import { attempt } from "../state/actions.ts";
import { EMOJI } from "../state/reactions.ts";
import { ControlButton } from "./ControlButton.tsx";

/** A button that opens a row of emoji; each of them is shown to everybody for a moment. */
export function Reactions({ session }: { session: CallSession }) {
  const open = useSignal(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open.value) return undefined;
    box.current?.querySelector<HTMLButtonElement>(".reaction-choice")?.focus();
    const close = (event: Event) => {
      const escaped = event instanceof KeyboardEvent && event.key === "Escape";
      const outside = event.type === "pointerdown" && !box.current?.contains(event.target as Node);
      if (escaped || outside) open.value = false;
      if (escaped) box.current?.querySelector<HTMLButtonElement>(".control")?.focus();
    };
    addEventListener("pointerdown", close);
    addEventListener("keydown", close);
    return () => {
      removeEventListener("pointerdown", close);
      removeEventListener("keydown", close);
    };
  }, [open.value]);
  return (
    <div class="reactions" ref={box}>
      {open.value && (
        <fieldset class="reaction-row" aria-label={t("control.react")}>
          {EMOJI.map((emoji) => (
            <button
              key={emoji}
              type="button"
              class="reaction-choice"
              data-testid="reaction"
              data-emoji={emoji}
              onClick={() => {
                open.value = false;
                void attempt(session.react(emoji));
              }}
            >
              {emoji}
            </button>
          ))}
        </fieldset>
      )}
      <ControlButton
        testId="toggle-reactions"
        icon="smile"
        label={t("control.react")}
        expanded={open.value}
        onClick={() => {
          open.value = !open.value;
        }}
      />
    </div>
  );
}
