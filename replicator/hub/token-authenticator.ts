import type { TokenDesk } from "../node/token-desk.ts";
import type { Authenticate } from "./authenticate.ts";
import type { Guesses } from "./guesses.ts";
import { isSecretOf, readSecret } from "./secret.ts";
import { tokenInvalid } from "./token-errors.ts";

/**
 * Identity by the tokens in the hub's database. Each request reads its token anew: one that was revoked is refused by the very next request,
 * on every process that serves the hub.
 */
export function authenticateByToken(options: { readonly tokens: () => Promise<TokenDesk>; readonly guesses: Guesses }): Authenticate {
  const { tokens, guesses } = options;
  return async (token, address) => {
    if (token === null) throw tokenInvalid("the request has no token");
    const secret = readSecret(token);
    guesses.check(address, secret?.handle ?? "");
    if (secret?.kind !== "token") {
      guesses.wrong(address);
      throw tokenInvalid("the token is not one of this hub");
    }
    const desk = await tokens();
    const record = await desk.find("token", secret.handle);
    if (!isSecretOf(secret, record)) {
      guesses.wrong(address);
      throw tokenInvalid("the token is unknown, expired or revoked");
    }
    guesses.right(secret.handle);
    await desk.noteUse(record);
    const { role, name, node, group, params, id } = record;
    return { role, name, node, group, params, tokenId: id };
  };
}
