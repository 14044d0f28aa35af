import { useSignal } from "@preact/signals";
import { type CallDetails, type ParticipantStatus, type QualityMinute, RinghallError } from "@ringhall/core";
import { useEffect } from "preact/hooks";
import { durationInWords } from "../i18n/format.ts";
import { catalogues, type Key, lang, t } from "../i18n/index.ts";
import { troubled } from "../layout/troubled.ts";
import { rest } from "../state/auth.ts";
import { Avatar } from "./Avatar.tsx";
import { Dialog } from "./Dialog.tsx";
import { Time } from "./Time.tsx";

type State = { details: CallDetails } | { failed: Key } | null;

/** Who was in a past call, from when to when. */
export function CallDetailsDialog({ callId, onClose }: { callId: string; onClose: () => void }) {
  const state = useSignal<State>(null);
  useEffect(() => {
    rest.call(callId).then(
      (details) => {
        state.value = { details };
      },
      (error: unknown) => {
        state.value = { failed: `error.${error instanceof RinghallError ? error.code : "INTERNAL"}` };
      },
    );
  }, [callId]);
  const known = state.value;
  return (
    <Dialog title={t("details.title")} testId="call-details" onClose={onClose}>
      {known === null && <p class="hint">{t("details.loading")}</p>}
      {known && "failed" in known && (
        <p class="problem" role="alert">
          {t(known.failed)}
        </p>
      )}
      {known && "details" in known && <Details details={known.details} />}
    </Dialog>
  );
}

function Details({ details }: { details: CallDetails }) {
  const { createdAt, startedAt, endedAt, duration, type, participants } = details;
  const day = new Intl.DateTimeFormat(lang.value, { dateStyle: "full" }).format(new Date(createdAt));
  return (
    <>
      <dl class="details">
        <dt>{t(type === "video" ? "incoming.video" : "incoming.audio")}</dt>
        <dd>{day}</dd>
        <dt>{t("details.rang")}</dt>
        <dd>
          <Time iso={createdAt} />
        </dd>
        {startedAt && (
          <>
            <dt>{t("details.answered")}</dt>
            <dd>
              <Time iso={startedAt} />
            </dd>
          </>
        )}
        {endedAt && (
          <>
            <dt>{t("details.ended")}</dt>
            <dd>
              <Time iso={endedAt} />
            </dd>
          </>
        )}
        <dt>{t("details.length")}</dt>
        <dd data-testid="details-duration">{startedAt ? words(duration) : t("details.noTalk")}</dd>
      </dl>
      <ul class="people-list" data-testid="details-people">
        {participants.map(({ user, status, joinedAt, leftAt, duration: held, quality }) => (
          <li key={user.id} class="person" data-testid="details-person" data-user-id={user.id} data-status={status}>
            <Avatar id={user.id} name={user.name} url={user.avatar} size="small" />
            <span class="person-name">
              {user.name}
              <small>
                {joinedAt ? (
                  <>
                    <Time iso={joinedAt} />
                    {leftAt && (
                      <>
                        {" – "}
                        <Time iso={leftAt} />
                      </>
                    )}
                    {status === "kicked" && `, ${t("participant.kicked")}`}
                  </>
                ) : (
                  t(statusKey(status))
                )}
              </small>
              <Connection minutes={quality} />
            </span>
            {joinedAt && <span class="person-time">{words(held)}</span>}
          </li>
        ))}
      </ul>
    </>
  );
}

/** Says of somebody whose connection was poor or bad for a while that it was, for how long, and why. */
function Connection({ minutes }: { minutes: readonly QualityMinute[] }) {
  const found = troubled(minutes);
  if (!found) return null;
  const level = t(`quality.${found.level}`);
  const text = found.reason ? t("quality.because", { level, reason: t(`quality.reason.${found.reason}`) }) : level;
  return (
    <small data-testid="details-connection">
      {text} ({words(found.seconds)})
    </small>
  );
}

function words(seconds: number): string {
  return durationInWords(seconds, catalogues[lang.value], lang.value);
}

function statusKey(status: ParticipantStatus): Key {
  if (status === "invited" || status === "ringing") return "participant.missed";
  if (status === "joined" || status === "reconnecting") return "participant.joined";
  return `participant.${status}`;
}
