import type { CallQuality } from "@ringhall/core";
import { t } from "../i18n/index.ts";

const LEVELS = ["bad", "poor", "fair", "good"] as const;

/** How good the way from the server to this page is: four bars, and words as soon as it is not good. */
export function Quality({ quality: { score, reason } }: { quality: CallQuality }) {
  const level = t(`quality.${LEVELS[score - 1] ?? "good"}`);
  const words = reason ? t("quality.because", { level, reason: t(`quality.reason.${reason}`) }) : level;
  return (
    <p
      class={`quality quality-${score}`}
      role="status"
      title={words}
      data-testid="quality"
      data-score={String(score)}
      data-reason={reason ?? ""}
    >
      <svg class="quality-bars" viewBox="0 0 20 16" aria-hidden="true">
        {LEVELS.map((name, step) => (
          <rect
            key={name}
            class={step < score ? "quality-bar-on" : ""}
            x={step * 5}
            y={12 - step * 4}
            width="3.5"
            height={4 + step * 4}
            rx="1"
          />
        ))}
      </svg>
      <span class={score === 4 ? "visually-hidden" : ""}>{words}</span>
    </p>
  );
}
