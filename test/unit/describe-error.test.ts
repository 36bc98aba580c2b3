import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { describeError } from "../../replicator/observability/describe-error.ts";

test("a connection that ends in the middle is no bug of this product, wherever it is noticed", async () => {
  const cut = new PassThrough();
  cut.write("half");
  cut.destroy();
  const error = await cut.toArray().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "ERR_STREAM_PREMATURE_CLOSE" });
  expect(describeError(error)).toMatchObject({ code: "LINE_CUT", kind: "retry", hint: expect.not.stringContaining("bug") });
  expect(describeError(new RangeError("beyond"))).toMatchObject({ kind: "unexpected", hint: expect.stringContaining("bug") });
});
