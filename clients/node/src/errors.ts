/** What a call ends with when it does not end well. None of these holds a token. */

import { status } from "@grpc/grpc-js";
import { type Challenged, challenge } from "./challenge.js";
import { outcomeOf } from "./reasons.js";

/** The token may not pass. `message` is the sidecar's sentence for a person, and not stable. */
export class TokenRefused extends Error {
  /** The contract's name without `REASON_`, such as "EXPIRED"; a newer sidecar's number. */
  readonly reason: string;
  /** 401, 403 or 503. */
  readonly httpStatus: number;
  /** UNAUTHENTICATED, PERMISSION_DENIED or UNAVAILABLE. */
  readonly grpcStatus: status;
  readonly #asked: Challenged;

  /** `asked` is what the answer needs to know of the call: the scopes, whether DPoP is used. */
  constructor(reason: string, message: string, asked: Challenged = {}) {
    super(message);
    const { httpStatus, grpcStatus } = outcomeOf(reason, asked.insufficient ?? false);
    this.reason = reason;
    this.httpStatus = httpStatus;
    this.grpcStatus = grpcStatus;
    this.#asked = asked;
  }

  /** `WWW-Authenticate` for an HTTP answer (RFC 6750, section 3); undefined where none is due. */
  wwwAuthenticate(realm: string): string | undefined {
    return challenge(this, realm, this.#asked);
  }

  static {
    TokenRefused.prototype.name = "TokenRefused";
  }
}

/** Nothing is known of the token: the sidecar is down, too slow, overloaded, or makes no sense. */
export class SidecarUnavailable extends Error {
  readonly httpStatus: number = 503;
  readonly grpcStatus: status = status.UNAVAILABLE;

  static {
    SidecarUnavailable.prototype.name = "SidecarUnavailable";
  }
}

/** The call was wrong, which only its author can mend; trying again gives the same. */
export class CallRejected extends Error {
  readonly httpStatus: number = 500;
  readonly grpcStatus: status = status.INTERNAL;
  /** The status that the sidecar gave. */
  readonly code: status;
  /** The contract's ErrorReason without its prefix, such as "FIELD_INVALID"; "" where none came. */
  readonly errorReason: string;

  constructor(code: status, errorReason: string, message: string) {
    super(message);
    this.code = code;
    this.errorReason = errorReason;
  }

  static {
    CallRejected.prototype.name = "CallRejected";
  }
}
