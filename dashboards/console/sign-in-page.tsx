import { useState } from "preact/hooks";
import { ApiError } from "./api/client.ts";
import { signedOutBecause } from "./api/session.ts";
import { signIn } from "./api/sign-in.ts";
import { Button } from "./components/button.tsx";
import { TextField } from "./components/fields.tsx";
import { ProblemText } from "./components/problem-text.tsx";

export function SignIn() {
  const [text, setText] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      await signIn(text);
    } catch (thrown) {
      // the hint is for those who write requests
      setError(thrown instanceof ApiError ? new ApiError({ ...thrown.problem, hint: null }) : thrown);
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="sign-in">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          if (!busy) void submit();
        }}
      >
        <h1>Tombolo</h1>
        {signedOutBecause.value !== null && (
          <p class="banner banner-warn" role="alert">
            {signedOutBecause.value}
          </p>
        )}
        <TextField
          label="Token"
          type="password"
          value={text}
          onInput={setText}
          required
          autofocus
          hint={
            <>
              Made at the hub with <code>tombolo tokens create --role operator --name me</code>. This tab keeps it until it is closed.
            </>
          }
        />
        <ProblemText error={error} />
        <Button type="submit" kind="primary" busy={busy} disabled={text.trim() === ""}>
          Sign in
        </Button>
      </form>
    </main>
  );
}
