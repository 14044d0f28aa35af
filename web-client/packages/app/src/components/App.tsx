import { RinghallError } from "@ringhall/core";
import { useEffect } from "preact/hooks";
import { t } from "../i18n/index.ts";
import { call, openChat, stopped } from "../state/app.ts";
import { rest, server, session } from "../state/auth.ts";
import { fragment, onCheckPage, roomName } from "../state/route.ts";
import { CallScreen } from "./CallScreen.tsx";
import { ChatView } from "./ChatView.tsx";
import { CheckPage } from "./CheckPage.tsx";
import { EndedCard } from "./EndedCard.tsx";
import { IncomingCall } from "./IncomingCall.tsx";
import { RoomPage } from "./RoomPage.tsx";
import { Setup } from "./Setup.tsx";
import { Sidebar } from "./Sidebar.tsx";
import { SignIn } from "./SignIn.tsx";
import { StartDialog } from "./StartDialog.tsx";
import { Toasts } from "./Toasts.tsx";

const RETRY_MS = 3_000;

export function App() {
  useServerInfo();
  return (
    <>
      <Page />
      <EndedCard />
      <StartDialog />
      <IncomingCall />
      <Toasts />
    </>
  );
}

function Page() {
  const room = roomName.value;
  if (onCheckPage) return <CheckPage />;
  if (!session.value && room !== null && fragment.value) return <RoomPage name={room} />;
  if (!session.value) return location.pathname.startsWith("/setup") ? <Setup /> : <SignIn />;
  if (stopped.value === "replaced" || stopped.value === "removed") {
    return (
      <main class="notice">
        <p>{t(`connection.${stopped.value}`)}</p>
      </main>
    );
  }
  if (room !== null) return call.value ? <CallScreen session={call.value} /> : <RoomPage name={room} />;
  return (
    <>
      <div class={openChat.value ? "shell shell-open" : "shell"} inert={call.value !== null}>
        <Sidebar />
        <ChatView />
      </div>
      {call.value && <CallScreen session={call.value} />}
    </>
  );
}

/** Asks the server who it is, until it answers. */
function useServerInfo() {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = () =>
      rest.server().then(
        (info) => {
          server.value = info;
        },
        (error: unknown) => {
          if (error instanceof RinghallError) timer = setTimeout(ask, RETRY_MS);
        },
      );
    void ask();
    return () => clearTimeout(timer);
  }, []);
}
