import { durationInWords } from "../i18n/format.ts";
import { catalogues, lang, t } from "../i18n/index.ts";
import { chats } from "../state/app.ts";
import { dismissEnded, type EndedCall, ended } from "../state/ended.ts";
import { askAndRing } from "../state/start.ts";
import { Icon } from "./Icon.tsx";

/** Says that the call is over and how long it was; stays out of the way of what comes next. */
export function EndedCard() {
  const card = ended.value;
  if (!card) return null;
  const chat = chats.value.find(({ id }) => id === card.chatId);
  const { lang: language } = { lang: lang.value };
  return (
    <section class="ended" role="status" data-testid="call-ended" data-duration={String(card.duration)}>
      <span class="ended-icon">
        <Icon name="hangUp" />
      </span>
      <div class="ended-text">
        <strong>{titleOf(card)}</strong>
        <span>
          {durationInWords(card.duration, catalogues[language], language)}
          {card.by && !card.byMe && card.how === "over" && ` · ${t("ended.byName", { name: card.by })}`}
        </span>
      </div>
      {chat && !chat.activeCall && (
        <button type="button" class="button button-small" onClick={() => askAndRing(chat, card.type)}>
          {t("ended.again")}
        </button>
      )}
      <button type="button" class="icon-button" aria-label={t("common.close")} onClick={dismissEnded}>
        <Icon name="close" />
      </button>
    </section>
  );
}

function titleOf({ how, by }: EndedCall): string {
  if (how === "kicked") return t("ended.kicked", { name: by ?? "" });
  if (how === "moved") return t("ended.moved");
  return how === "left" ? t("ended.left") : t("ended.title");
}
