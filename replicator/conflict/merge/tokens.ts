/** The grains in which text is compared, from coarse to fine. Every split is exact: joined, the tokens are the text again. */

/** Lines with their ends. */
export const lines = (text: string): string[] => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

/** Sentences, and the blanks and line ends between them as tokens of their own, so that a sentence is the same wherever it stands. */
export const sentences = (text: string): string[] => text.split(SENTENCE_ENDS).filter((token) => token !== undefined && token !== "");

const SENTENCE_ENDS = /(\r?\n|(?<=[.!?…]["'’”)\]]*)[ \t]+)|(?<=[。！？][」』”]*)(?=[^\s」』”])/u;

/**
 * Words; every blank and every mark is a token of its own. A number, date or time with its inner marks is one word (12.50,
 * 2024-01-31): two halves of two numbers make a third that nobody wrote. Scripts that put no blanks between words go by characters.
 */
export const words = (text: string): string[] => text.match(WORDS) ?? [];

const BLANKLESS = String.raw`\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}`;
const LETTERS = String.raw`(?:(?![${BLANKLESS}])[\p{L}\p{N}\p{M}\p{Pc}])+`;
const WORD = String.raw`${LETTERS}(?:(?:['’](?=\p{L})|(?<=\p{Nd})[.,:/-](?=\p{Nd}))${LETTERS})*`;
const PICTURE = String.raw`\p{Extended_Pictographic}[\p{EMod}\uFE0F]*`;
const WORDS = new RegExp(String.raw`\r\n|${WORD}|${PICTURE}(?:\u200D${PICTURE})*|\p{RI}\p{RI}|\s|[^]\p{M}*`, "gu");

/** True where a token says something: blanks, rules and brackets are alike everywhere and tell nothing about where a text came from. */
export const isTelling = (token: string): boolean => /[\p{L}\p{N}]/u.test(token);
