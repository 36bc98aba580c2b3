import { ApiError, get } from "./client.ts";
import { endSession, keepToken, signedOutBecause, token, type Who, who } from "./session.ts";

const PATIENCE_MS = 2_000;

/** Throws `ApiError` where the hub does not take the token, or its role has no business here. */
export async function signIn(text: string): Promise<void> {
  const given = text.trim();
  const found = await askWho(given);
  keepToken(given);
  who.value = found;
  signedOutBecause.value = null;
}

/** With the token that the tab still has: as long as the hub does not answer, it is asked again. */
export async function resumeSession(): Promise<void> {
  while (token.value !== null && who.value === null) {
    try {
      who.value = await askWho();
    } catch (error) {
      if (error instanceof ApiError && error.status === 403) endSession(error.message);
      await new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
    }
  }
}

async function askWho(given?: string): Promise<Who> {
  const found = await get<Who>("/v1/whoami", given === undefined ? {} : { token: given });
  if (found.role === "node") {
    const detail = "This token belongs to an edge. The console takes those of viewers, operators and admins";
    throw new ApiError({ status: 403, code: "ROLE_FORBIDDEN", detail, hint: null });
  }
  return found;
}
