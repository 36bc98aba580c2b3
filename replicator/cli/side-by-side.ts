import type { Row } from "../change/value.ts";
import { columnsOf, differingColumns, type Side } from "../operations/row-versions.ts";
import { table } from "./output.ts";
import { cut, oneLine, valueText } from "./row-text.ts";

const NO_ROW = "-";
const UNKNOWN = "?";
const NARROWEST = 8;
const WIDEST_NAME = 32;

/**
 * Versions of one row as a table: a line per column, a version beside the other, `*` before the columns in which those that are rows differ.
 * `width` is that of the terminal, to which wide values are cut, around the first difference; null where nothing is to be cut.
 */
export function sideBySide(sides: readonly Side[], width: number | null): readonly string[] {
  const columns = columnsOf(sides);
  const different = differingColumns(sides);
  const cells = columns.map((column) => sides.map(({ row }) => cellText(row, column)));
  const names = columns.map((column) => (width === null ? oneLine(column) : cut(oneLine(column), WIDEST_NAME)));
  const titles = sides.map(({ title }) => title);
  const widths = width === null ? null : widthsOf(cells, titles, width - Math.max(6, ...names.map(({ length }) => length)) - 2);
  const lines = columns.map((column, at) => {
    const marked = different.has(column);
    const shown = widths === null ? (cells[at] ?? []) : cutRow(cells[at] ?? [], widths, marked);
    return [`${marked ? "*" : " "} ${names[at]}`, ...shown];
  });
  return table(["  COLUMN", ...titles], lines);
}

function cellText(row: Row | null, column: string): string {
  if (row === null) return NO_ROW;
  return Object.hasOwn(row, column) ? valueText(row[column] ?? null) : UNKNOWN;
}

/** How wide each version may be: narrow ones get what they need, the others share the rest. */
function widthsOf(cells: readonly (readonly string[])[], titles: readonly string[], room: number): readonly number[] {
  const needed = titles.map((title, side) => Math.max(title.length, ...cells.map((row) => [...(row[side] ?? "")].length)));
  let left = room - 2 * titles.length;
  const widths = new Map<number, number>();
  const narrowFirst = needed.map((need, side) => ({ need, side })).sort((a, b) => a.need - b.need);
  for (const [at, { need, side }] of narrowFirst.entries()) {
    const share = Math.max(NARROWEST, Math.floor(left / (narrowFirst.length - at)));
    const width = Math.min(need, share);
    widths.set(side, width);
    left -= width;
  }
  return titles.map((_, side) => widths.get(side) ?? NARROWEST);
}

/** Where the versions begin alike for longer than what is shown, all are cut from shortly before they differ. */
function cutRow(row: readonly string[], widths: readonly number[], marked: boolean): readonly string[] {
  const narrowest = Math.min(...widths);
  const alike = marked ? commonPrefix(row.filter((cell) => cell !== NO_ROW && cell !== UNKNOWN)) : 0;
  const start = alike > narrowest - 4 ? alike - Math.floor(narrowest / 3) : 0;
  return row.map((cell, side) => cut(cell, widths[side] ?? NARROWEST, start));
}

function commonPrefix(texts: readonly string[]): number {
  const [first = "", ...others] = texts.map((text) => [...text]);
  let length = 0;
  while (length < first.length && others.every((other) => other[length] === first[length])) length += 1;
  return length;
}

/** The width to cut to: the terminal's; null when the answer goes somewhere else. */
export const terminalWidth = (): number | null => (process.stdout.isTTY === true ? process.stdout.columns : null);
