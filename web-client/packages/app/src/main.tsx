import { render } from "preact";
import { App } from "./components/App.tsx";
import { lang } from "./i18n/index.ts";
import { audioState, unlockOnGesture } from "./sound/context.ts";
import { ringing, startRinger } from "./sound/ringer.ts";
import { call, callView, client, startClient, watchNetwork, watchToken } from "./state/app.ts";
import { session } from "./state/auth.ts";
import { watchRoom } from "./state/room.ts";
import { onCheckPage } from "./state/route.ts";
import { applyTheme } from "./state/theme.ts";
import { showTitle } from "./state/title.ts";
import { publishSupport } from "./support.ts";
import "./state/ended.ts";
import "./state/notices.ts";
import "./styles/index.css";

document.documentElement.lang = lang.value;
applyTheme();
showTitle();
unlockOnGesture();
startRinger();
watchNetwork();
watchToken();
watchRoom();
publishSupport({ client, call, callView, audioState, ringing });
if (session.value && !onCheckPage) void startClient();

const root = document.getElementById("app");
if (root) render(<App />, root);
