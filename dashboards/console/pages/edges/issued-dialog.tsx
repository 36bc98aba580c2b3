import type { Issued } from "../../api/desk-types.ts";
import { Button } from "../../components/button.tsx";
import { Dialog } from "../../components/dialog.tsx";
import { toast } from "../../components/toast.tsx";
import { formatMoment } from "../../format.ts";
import { Qr } from "./qr.tsx";

/** A secret that the hub has just made: shown this once, and gone with the dialog. */
export function IssuedDialog({ issued, onClose }: { readonly issued: Issued; readonly onClose: () => void }) {
  const { token, secret } = issued;
  const isCode = token.kind === "code";
  const copy = async (text: string): Promise<void> => {
    await navigator.clipboard.writeText(text);
    toast("It is in the clipboard.");
  };
  return (
    <Dialog title={isCode ? `Enrolment code for ${token.node}` : `New token for ${token.node ?? token.name}`} onClose={onClose}>
      <div class="dialog-body">
        <p>
          {isCode ? "It works once" : "The one before works for another hour"}
          {token.expires_at !== null && `; this one ends ${formatMoment(token.expires_at)}`}. It is shown this once and kept nowhere.
        </p>
        <div class="issued">
          <Qr text={secret} label={isCode ? "The enrolment code as a QR code" : "The token as a QR code"} />
          <pre class="secret" data-testid="secret">
            {secret}
          </pre>
        </div>
        {isCode && (
          <p>
            At the edge:
            <br />
            <code>
              tombolo edge --database ./shop.db --hub {location.origin} --code {secret}
            </code>
          </p>
        )}
        {!isCode && (
          <p class="muted">Put it into the edge's credential file, and start the edge again. An edge renews its token by itself.</p>
        )}
      </div>
      <div class="actions actions-end">
        <Button onClick={() => copy(secret)}>Copy the {isCode ? "code" : "token"}</Button>
        <Button kind="primary" onClick={onClose}>
          Done
        </Button>
      </div>
    </Dialog>
  );
}
