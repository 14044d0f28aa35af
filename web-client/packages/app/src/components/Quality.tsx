import type { CallQuality, StreamQuality } from "@ringhall/core";
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
      <Bars score={score} />
      <span class={score === 4 ? "visually-hidden" : ""}>{words}</span>
    </p>
  );
}

/** What is wrong with one picture or voice, where it is not the whole connection: bars, and the reason in words. */
export function StreamBars({ quality, name, self }: { quality: StreamQuality; name: string; self: boolean }) {
  const words = streamWords(quality, name, self);
  return (
    <span
      class={`tile-quality quality-${quality.score}`}
      title={words}
      data-testid="tile-quality"
      data-score={String(quality.score)}
      data-reason={quality.reason}
    >
      <Bars score={quality.score} />
      <span class="visually-hidden">{words}</span>
    </span>
  );
}

function streamWords({ reason }: StreamQuality, name: string, self: boolean): string {
  if (reason === "cpu") return self ? t("quality.stream.own") : t("quality.stream.cpu", { name });
  if (reason === "loss") return t("quality.stream.loss", { name });
  if (reason === "bandwidth") return t("quality.stream.bandwidth");
  return t(`quality.reason.${reason}`);
}

function Bars({ score }: { score: number }) {
  return (
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
  );
}
