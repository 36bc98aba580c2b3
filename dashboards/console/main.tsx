import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/components.css";
import "./styles/desks.css";
import { render } from "preact";
import { followLive } from "./api/live.ts";
import { takeTokenFromAddress } from "./api/session.ts";
import { resumeSession } from "./api/sign-in.ts";
import { App } from "./app.tsx";
import { startRouter } from "./router.ts";
import { applyTheme } from "./theme.ts";

applyTheme();
takeTokenFromAddress();
startRouter();
void resumeSession();
followLive();
// an address with a token may be opened where the console is open already
window.addEventListener("hashchange", () => {
  takeTokenFromAddress();
  void resumeSession();
});
render(<App />, document.getElementById("app") as HTMLElement);
