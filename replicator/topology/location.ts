import { isAbsolute, join, resolve } from "node:path";

const EMBEDDED = "embedded:";

/** A path of the file as an absolute one; relative ones start at the file's folder. */
export const absolute = (folder: string, path: string): string => (isAbsolute(path) ? resolve(path) : join(folder, path));

/** The URL to connect with: `embedded:` with an absolute folder, or the URL with its password in it, percent-encoded. */
export function connectionUrl(folder: string, url: string, password: string | undefined): string {
  if (url.startsWith(EMBEDDED)) return `${EMBEDDED}${absolute(folder, url.slice(EMBEDDED.length))}`;
  if (password === undefined) return url;
  const encoded = encodeURIComponent(password);
  const result = new URL(url);
  // a URL without a host (a socket directory in the query) can't hold a password before the "@"
  if (result.host === "") result.searchParams.set("password", password);
  else result.password = encoded;
  return result.href;
}

/** True when the URL says a password, in either of its places. */
export function hasPassword(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { password, searchParams } = new URL(url);
  return password !== "" || searchParams.has("password");
}

/** The same text for two URLs of one database, whoever connects and however; null when it can't be told. */
export function databaseIdentity(folder: string, url: string): string | null {
  if (url.startsWith(EMBEDDED)) return connectionUrl(folder, url, undefined);
  if (!/^postgres(ql)?:/.test(url) || !URL.canParse(url)) return null;
  const { hostname, port, pathname, searchParams, username } = new URL(url);
  const host = (searchParams.get("host") ?? hostname).toLowerCase();
  const local = ["", "localhost", "127.0.0.1", "[::1]", "::1"].includes(host);
  const database = pathname.length > 1 ? pathname.slice(1) : username;
  return JSON.stringify([local ? "localhost" : host, searchParams.get("port") ?? (port === "" ? "5432" : port), database]);
}
