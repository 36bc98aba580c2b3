import { createCipheriv, createDecipheriv, randomBytes, scrypt } from "node:crypto";
import { promisify } from "node:util";

/** How the key of one file is made of the passphrase; stands in its head. */
export interface Encryption {
  readonly kdf: "scrypt";
  readonly n: number;
  readonly r: number;
  readonly p: number;
  /** Base64. */
  readonly salt: string;
}

const TAG_BYTES = 16;
/** About a tenth of a second and 128 MiB a try, for whoever guesses as well. */
const COST = { n: 2 ** 17, r: 8, p: 1 } as const;

export const newEncryption = (): Encryption => ({ kdf: "scrypt", ...COST, salt: randomBytes(16).toString("base64") });

/** Seals and opens the records of one file, in their order: AES-256-GCM, with the record's number as nonce and its kind bound to it. */
export class RecordCipher {
  readonly #key: Buffer;
  #count = 0n;

  private constructor(key: Buffer) {
    this.#key = key;
  }

  static async open(passphrase: string, { n, r, p, salt }: Encryption): Promise<RecordCipher> {
    const key = await promisify<string, Buffer, number, object, Buffer>(scrypt)(passphrase, Buffer.from(salt, "base64"), 32, {
      N: n,
      r,
      p,
      maxmem: 256 * n * r,
    });
    return new RecordCipher(key);
  }

  seal(kind: string, plain: Uint8Array): Buffer {
    const cipher = createCipheriv("aes-256-gcm", this.#key, this.#nonce());
    cipher.setAAD(Buffer.from(kind));
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  /** Null where the key is another one, or the record is not what was sealed. */
  open(kind: string, sealed: Uint8Array): Buffer | null {
    if (sealed.length < TAG_BYTES) return null;
    const decipher = createDecipheriv("aes-256-gcm", this.#key, this.#nonce());
    decipher.setAAD(Buffer.from(kind));
    decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
    try {
      return Buffer.concat([decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES)), decipher.final()]);
    } catch {
      return null;
    }
  }

  /** The key is of this file alone, so that a count never repeats under it. */
  #nonce(): Buffer {
    const nonce = Buffer.alloc(12);
    nonce.writeBigUInt64BE(this.#count++, 4);
    return nonce;
  }
}
