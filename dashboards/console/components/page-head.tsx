import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

let isFirst = true;

/** A page's heading. It gets the focus when one comes from another page, so that screen readers begin there. */
export function PageHead(props: { readonly title: string; readonly children?: ComponentChildren; readonly above?: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (!isFirst) heading.current?.focus({ preventScroll: true });
    isFirst = false;
  }, [props.title]);
  return (
    <header class="page-head">
      <div>
        {props.above !== undefined && <p class="small muted">{props.above}</p>}
        <h1 ref={heading} tabIndex={-1}>
          {props.title}
        </h1>
      </div>
      {props.children !== undefined && <div class="actions">{props.children}</div>}
    </header>
  );
}
