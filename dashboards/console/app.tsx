import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { connection, status } from "./api/live.ts";
import { endSession, isAdmin, token, who } from "./api/session.ts";
import { Button } from "./components/button.tsx";
import { Confirmation } from "./components/dialog.tsx";
import { PageHead } from "./components/page-head.tsx";
import { Toasts } from "./components/toast.tsx";
import icon from "./icon.svg";
import type { Page } from "./page.ts";
import { PAGES } from "./pages.ts";
import { hrefTo, matchPath, path } from "./router.ts";
import { SignIn } from "./sign-in-page.tsx";
import { type Theme, theme } from "./theme.ts";

export function App() {
  return (
    <>
      {token.value === null ? <SignIn /> : who.value === null ? <Waiting /> : <Shell />}
      <Toasts />
      <Confirmation />
    </>
  );
}

function Waiting() {
  return (
    <main class="sign-in">
      <p role="status">Asking the hub who you are …</p>
    </main>
  );
}

function Shell() {
  const found = findPage(path.value);
  const title = found?.page.title(found.params) ?? "No such page";
  const topology = status.value?.topology ?? "Tombolo";
  useEffect(() => {
    document.title = `${title} · ${topology}`;
  }, [title, topology]);
  return (
    <div class="shell">
      <a class="skip" href="#main">
        To the page's contents
      </a>
      <Navigation topology={topology} current={found?.page ?? null} />
      <main id="main" class="main" tabIndex={-1}>
        <Connection />
        {found === null ? (
          <>
            <PageHead title={title} />
            <p>
              There is nothing at <code>{path.value}</code>. <a href={hrefTo("/")}>To the overview</a>
            </p>
          </>
        ) : (
          <found.page.component key={path.value} params={found.params} />
        )}
      </main>
    </div>
  );
}

function findPage(text: string): { readonly page: Page; readonly params: Readonly<Record<string, string>> } | null {
  for (const page of PAGES) {
    const params = matchPath(page.path, text);
    if (params !== null) return { page, params };
  }
  return null;
}

function Navigation({ topology, current }: { readonly topology: string; readonly current: Page | null }) {
  // on a narrow screen it is closed until it is asked for, and closes with every step
  const isOpen = useSignal(false);
  const place = path.value;
  useEffect(() => {
    isOpen.value = false;
  }, [place, isOpen]);
  const entries = PAGES.filter(({ nav }) => nav !== undefined && (nav.adminOnly !== true || isAdmin()));
  const waiting = entries.reduce((sum, { nav }) => sum + (nav?.badge?.() ?? 0), 0);
  return (
    <header class="side">
      <div class="brand">
        <a href={hrefTo("/")} class="brand-name">
          <img src={icon} alt="" width="22" height="22" />
          {topology}
        </a>
        <button
          type="button"
          class="menu-button"
          aria-expanded={isOpen.value}
          aria-controls="navigation"
          onClick={() => {
            isOpen.value = !isOpen.value;
          }}
        >
          Menu{waiting > 0 && <span class="badge">{waiting > 99 ? "99+" : waiting}</span>}
        </button>
      </div>
      <div id="navigation" class={`side-body${isOpen.value ? " is-open" : ""}`}>
        <nav aria-label="Pages">
          <ul>
            {entries.map((page) => (
              <li key={page.path}>
                <a href={hrefTo(page.path)} aria-current={isCurrent(page, current, place) ? "page" : undefined}>
                  {page.nav?.label}
                  <Badge count={page.nav?.badge?.() ?? 0} />
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <Account />
      </div>
    </header>
  );
}

/** Pages below one that is in the navigation belong to it. */
const isCurrent = (page: Page, current: Page | null, place: string): boolean =>
  page === current || (page.path !== "/" && place.startsWith(`${page.path}/`));

function Badge({ count }: { readonly count: number }) {
  if (count === 0) return null;
  return (
    <span class="badge">
      {count > 999 ? "999+" : count}
      <span class="visually-hidden"> waiting</span>
    </span>
  );
}

function Account() {
  return (
    <div class="account">
      <div class="field">
        <label for="theme">Colours</label>
        <select
          id="theme"
          value={theme.value}
          onChange={({ currentTarget }) => {
            theme.value = currentTarget.value as Theme;
          }}
        >
          <option value="system">As the system</option>
          <option value="light">Light</option>
          <option value="dark">Dark</option>
        </select>
      </div>
      <p class="small muted">
        {who.value?.name}
        <br />
        {who.value?.role}
      </p>
      <Button kind="quiet" onClick={() => endSession(null)}>
        Sign out
      </Button>
    </div>
  );
}

/** Says when what is shown may be old. */
function Connection() {
  return (
    <div role="status">
      {connection.value === "lost" && (
        <p class="banner banner-warn">The hub does not answer. What is shown is as it was last known; it is tried again by itself.</p>
      )}
    </div>
  );
}
