import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { keyUnusable } from "./medium-errors.ts";

/** Pairs of Ed25519 keys, PEM: one side signs what it exports, the other knows its public key. */

/** Writes FILE, which only its owner can read, and FILE.pub. Throws EEXIST where one is there. */
export async function createKeys(file: string): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  await writeFile(file, privateKey.export({ type: "pkcs8", format: "pem" }), { flag: "wx", mode: 0o600 });
  await writeFile(`${file}.pub`, publicKey.export({ type: "spki", format: "pem" }), { flag: "wx" });
}

/** Throws `MEDIUM_KEY` (usage). */
export async function signingKey(file: string): Promise<KeyObject> {
  return readKey(file, "an Ed25519 private key", createPrivateKey);
}

/** Throws `MEDIUM_KEY` (usage). */
export async function trustedKey(file: string): Promise<KeyObject> {
  return readKey(file, "an Ed25519 public key", createPublicKey);
}

async function readKey(file: string, what: string, make: (pem: Buffer) => KeyObject): Promise<KeyObject> {
  let key: KeyObject;
  try {
    key = make(await readFile(file));
  } catch {
    throw keyUnusable(file, what);
  }
  if (key.asymmetricKeyType !== "ed25519") throw keyUnusable(file, what);
  return key;
}
