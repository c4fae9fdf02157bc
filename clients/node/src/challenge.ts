/** `WWW-Authenticate` of a refusal (RFC 6750, section 3; RFC 9449, section 7.1). */

/** A refusal, as far as its challenge goes. */
interface Refusal {
  readonly reason: string;
  readonly message: string;
  readonly httpStatus: number;
}

/** What was asked in the call that was refused. */
export interface Challenged {
  readonly scopes?: readonly string[];
  /** Whether a DPoP proof came with the token. */
  readonly dpop?: boolean;
  /** Whether the call asked for what the token lacks, and not the sidecar's configuration. */
  readonly insufficient?: boolean;
}

const LONGEST_DESCRIPTION = 500;

/** The challenge, or undefined where another token would change nothing. */
export function challenge(refusal: Refusal, realm: string, asked: Challenged): string | undefined {
  const bearer = `Bearer realm="${sendable(realm)}"`;
  const description = `error_description="${sendable(refusal.message)}"`;
  if (refusal.reason === "SCOPE_INSUFFICIENT") {
    const scope = sendable((asked.scopes ?? []).join(" "));
    return `${bearer}, error="insufficient_scope"${scope && `, scope="${scope}"`}`;
  }
  if (refusal.httpStatus !== 401) {
    return undefined;
  }
  if (refusal.reason === "TOKEN_MISSING") {
    return bearer;
  }
  if (refusal.reason === "PROOF_INVALID" && asked.dpop) {
    return `DPoP realm="${sendable(realm)}", error="invalid_dpop_proof", ${description}`;
  }
  return `${bearer}, error="invalid_token", ${description}`;
}

/** The text in the characters that RFC 6750, section 3 allows, cut to a bounded length. */
function sendable(text: string): string {
  return Array.from(text)
    .slice(0, LONGEST_DESCRIPTION)
    .join("")
    .replaceAll('"', "'")
    .replaceAll("\\", "/")
    .replace(/[^ -~]/gu, "?");
}
