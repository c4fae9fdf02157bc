/** HTTP middleware, for Express, Connect and plain `node:http`. */

import type { IncomingMessage, ServerResponse } from "node:http";
import { type Admission, gate } from "./admission.js";
import type { Client } from "./client.js";
import { denialOf, logFailure } from "./denial.js";
import { TokenRefused } from "./errors.js";
import { plain } from "./plain.js";

export interface MiddlewareOptions extends Admission {
  /** `realm` in WWW-Authenticate. Default: "jwt-sidecar". */
  readonly realm?: string;
}

/** Calls `next` without an argument where the request may pass, and otherwise answers it. */
export type Middleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: () => void,
) => Promise<void>;

const RETRY_AFTER_SECONDS = "1";

/**
 * Lets requests through that have one `Authorization: Bearer` header with a token that passes;
 * `tokenOf(request)` then gives the token. Throws TypeError or RangeError where an option
 * can't be.
 */
export function middleware(client: Client, options: MiddlewareOptions = {}): Middleware {
  const { realm = "jwt-sidecar", log = logFailure, ...asked } = plain("options", options);
  const admit = gate(client, asked);
  return async (request, response, next) => {
    try {
      await admit(request, authorizations(request));
    } catch (failure) {
      deny(response, failure, realm);
      if (!(failure instanceof TokenRefused)) {
        log(failure);
      }
      return;
    }
    next();
  };
}

/** From the raw headers, since Node.js keeps only the first Authorization in `headers`. */
function authorizations({ rawHeaders }: IncomingMessage): string[] {
  return rawHeaders.filter(
    (_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === "authorization",
  );
}

function deny(response: ServerResponse, failure: unknown, realm: string): void {
  // What limits the time of a request may have answered it by now.
  if (response.headersSent) {
    return;
  }
  const { httpStatus, body } = denialOf(failure);
  const challenge = failure instanceof TokenRefused ? failure.wwwAuthenticate(realm) : undefined;
  response.statusCode = httpStatus;
  response.setHeader("Content-Type", "application/json");
  if (challenge !== undefined) {
    response.setHeader("WWW-Authenticate", challenge);
  }
  if (httpStatus === 503) {
    response.setHeader("Retry-After", RETRY_AFTER_SECONDS);
  }
  response.end(JSON.stringify(body));
}
