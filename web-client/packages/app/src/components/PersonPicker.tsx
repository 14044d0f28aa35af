import { useSignal } from "@preact/signals";
import type { User } from "@ringhall/core";
import { t } from "../i18n/index.ts";
import { isOnline } from "../state/app.ts";
import { Avatar } from "./Avatar.tsx";

interface Props {
  people: readonly User[];
  chosen: ReadonlySet<string>;
  onToggle: (id: string) => void;
}

/** People to tick, with a search above them. Who is online comes first. */
export function PersonPicker({ people, chosen, onToggle }: Props) {
  const search = useSignal("");
  const needle = search.value.trim().toLocaleLowerCase();
  const found = people
    .filter(({ name }) => name.toLocaleLowerCase().includes(needle))
    .sort((a, b) => Number(isOnline(b.id)) - Number(isOnline(a.id)));
  return (
    <div class="picker">
      <input
        type="search"
        class="picker-search"
        data-testid="picker-search"
        aria-label={t("people.search")}
        placeholder={t("people.search")}
        value={search.value}
        onInput={(event) => {
          search.value = event.currentTarget.value;
        }}
      />
      <ul class="picker-list">
        {found.map(({ id, name, avatar }) => (
          <li key={id}>
            <label class="picker-person" data-testid="picker-person" data-user-id={id}>
              <input type="checkbox" checked={chosen.has(id)} onChange={() => onToggle(id)} />
              <Avatar id={id} name={name} url={avatar} size="small" online={isOnline(id)} />
              <span>{name}</span>
              {!isOnline(id) && <span class="picker-note">{t("presence.offline")}</span>}
            </label>
          </li>
        ))}
        {found.length === 0 && <li class="hint">{t("people.nobody")}</li>}
      </ul>
    </div>
  );
}
