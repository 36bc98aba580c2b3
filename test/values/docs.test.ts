import { expect, test } from "vitest";
import { valuesPage } from "./values-page.ts";

test("docs/values.md says what the mapping says", async () => {
  await expect(valuesPage()).toMatchFileSnapshot("../../docs/values.md");
});
