/** What YAML's syntax errors mean in a topology file. The parser's own texts are not used: they quote the file, secrets included. */
export function syntaxProblem(yamlCode: string, line: string): { code: string; message: string; hint: string } {
  // the commonest of all: `{ url: ${HUB_URL} }`, where the brace is YAML's
  if (/[{[,].*\$\{/.test(line) && (yamlCode === "UNEXPECTED_TOKEN" || yamlCode === "MISSING_CHAR" || yamlCode === "BAD_INDENT")) {
    return {
      code: "YAML_SYNTAX",
      message: "A `${…}` between { } or [ ] is not in quotes.",
      hint: 'Inside of { } and [ ] YAML takes the braces for its own: write "${VAR}".',
    };
  }
  const [message, hint] = SENTENCES[yamlCode] ?? [
    "This is not YAML.",
    "Check the indentation, the quotes and the brackets in this line and the one before.",
  ];
  return { code: yamlCode === "TAG_RESOLVE_FAILED" ? "YAML_TAG" : "YAML_SYNTAX", message, hint };
}

const SENTENCES: { readonly [yamlCode: string]: readonly [message: string, hint: string] } = {
  BAD_ALIAS: [
    "This alias is not written as YAML wants it.",
    "Write *name, with the anchor &name before it; a value that starts with * needs quotes.",
  ],
  BAD_DIRECTIVE: ["This directive is not YAML's.", "Leave it out; a value that starts with % needs quotes."],
  BAD_DQ_ESCAPE: ["This escape is not known between double quotes.", "Write \\\\ for a backslash, or use single quotes."],
  BAD_INDENT: [
    "The indentation does not fit, or a bracket is not closed.",
    "Indent the lines of one map or list alike and close every { and [.",
  ],
  BAD_SCALAR_START: ["A value can't start with this character.", "Put the value in quotes."],
  BLOCK_AS_IMPLICIT_KEY: [
    "There is a second `: ` in one line, or the indentation does not fit.",
    "Put a value that holds `: ` in quotes; indent the keys of one map alike.",
  ],
  BLOCK_IN_FLOW: ["Inside of { } and [ ] everything must be written in that style.", "Use { } and [ ] inside as well, or neither."],
  MISSING_CHAR: ["A quote, bracket or comma is missing.", "Close what is open; separate by commas inside of { } and [ ]."],
  MULTILINE_IMPLICIT_KEY: ["A key must be on one line.", "Check for a missing colon or quote in the line before."],
  MULTIPLE_DOCS: ["There is a second document in the file.", "One file is one topology: remove what follows `---`."],
  TAB_AS_INDENT: ["There is a tab in the indentation.", "Indent with spaces."],
  TAG_RESOLVE_FAILED: ["This tag is not known.", "Remove the tag; a value that starts with ! needs quotes."],
  UNEXPECTED_TOKEN: [
    "This does not belong here.",
    "Check the quotes and brackets in this line; a value with special characters needs quotes.",
  ],
};
