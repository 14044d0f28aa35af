// Who there is, and what they have said and called so far.
import { randomUUID } from "node:crypto";

const person = (login, name) => ({ id: `u-${login}`, name, avatar: null, login });

export const people = [
  person("ivan", "Иван Иванов"),
  person("maria", "Мария Петрова"),
  person("sergey", "Сергей Смирнов"),
  person("anna", "Анна Кузнецова"),
];

/** They accept every call at once, so that a full grid can be looked at by one person. */
export const bots = [
  person("olena", "Олена Шевченко"),
  person("james", "James Carter"),
  person("lin", "Lin Wei"),
  person("priya", "Priya Raman"),
  person("tomas", "Tomás Ortega"),
  person("aiko", "Aiko Mori"),
  person("noah", "Noah Lindqvist"),
];

/** A department, for the pages of a large call. */
const crowd = Array.from({ length: 44 }, (_, i) => {
  const first = ["Ada", "Boris", "Chen", "Dina", "Emil", "Farah", "Goran", "Hana", "Igor", "Jana"][i % 10];
  return person(`crowd${i}`, `${first} ${"ABCDEFGHIJKLMNOPQRSTUVWXYZ"[Math.floor(i / 3)]}.`);
});
bots.push(...crowd);

export const everybody = [...people, ...bots];
/** Guests are people too, from when they come. */
export const known = (id) => everybody.find((p) => p.id === id) ?? people.find((p) => p.id === id);
export const userOf = ({ id, name, avatar }) => ({ id, name, avatar });
export const ago = (minutes) => new Date(Date.now() - minutes * 60_000).toISOString();
const memberOf = (p, i) => ({ ...userOf(p), role: i === 0 ? "owner" : "member" });

const text = (chatId, sender, content, minutes) => ({
  id: randomUUID(),
  chatId,
  senderId: `u-${sender}`,
  kind: "text",
  content,
  call: null,
  createdAt: ago(minutes),
});
const past = (chatId, sender, call, minutes) => ({
  id: randomUUID(),
  chatId,
  senderId: `u-${sender}`,
  kind: "call",
  content: "",
  call: { callId: randomUUID(), type: "video", endReason: null, duration: 0, mine: "left", ...call },
  createdAt: ago(minutes),
});

/** Fresh chats for one run. */
export function chats() {
  return [
    {
      id: "c-direct",
      type: "direct",
      name: null,
      members: [people[0], people[1]].map(memberOf),
      messages: [
        text("c-direct", "ivan", "Мария, привет! Посмотрела макеты?", 1600),
        text("c-direct", "maria", "Да, отличная работа. Пара вопросов по второму экрану — проще голосом.", 1590),
        past("c-direct", "ivan", { status: "ended", endReason: "hangup", duration: 225 }, 1585),
        text("c-direct", "ivan", "Спасибо! Исправил и выложил новую версию.", 190),
        past("c-direct", "maria", { status: "rejected", endReason: "timeout", mine: "missed", type: "audio" }, 64),
        text("c-direct", "maria", "Звонила, перезвони, как освободишься 🙂", 62),
        text("c-direct", "ivan", "Сейчас", 3),
      ],
    },
    {
      id: "c-group",
      type: "group",
      name: "4 отдел",
      members: people.map(memberOf),
      messages: [
        text("c-group", "sergey", "Коллеги, планёрка в 11:00, ссылки не нужны — звоню прямо отсюда.", 240),
        past("c-group", "sergey", { status: "ended", endReason: "last_left", duration: 1935 }, 200),
        text("c-group", "anna", "Протокол положила в общую папку.", 150),
        text("c-group", "anna", "Если что-то упустила, пишите.", 149),
      ],
    },
    {
      id: "c-bots",
      type: "group",
      name: "Product launch",
      members: [people[0], ...bots.slice(0, 7)].map(memberOf),
      messages: [
        text("c-bots", "james", "Numbers for the launch page are in. Can we walk through them?", 35),
        text("c-bots", "priya", "Yes, give me five minutes.", 31),
      ],
    },
    {
      id: "c-sergey",
      type: "direct",
      name: null,
      members: [people[0], people[2]].map(memberOf),
      messages: [text("c-sergey", "sergey", "Договор подписали, можно начинать.", 3000)],
    },
    {
      id: "c-crowd",
      type: "group",
      name: "All hands",
      members: [people[0], ...crowd].map(memberOf),
      messages: [text("c-crowd", "crowd3", "Everybody, please keep your microphone off at first.", 4000)],
    },
  ];
}
