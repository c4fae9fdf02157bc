/** A verified token, and the answers that tell whether there is one. */

import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { SidecarUnavailable } from "./errors.js";
import { Reason } from "./gen/sidecar/v1/reason_pb.js";
import type {
  Token as TokenMessage,
  ValidateTokenResponse,
} from "./gen/sidecar/v1/token_service_pb.js";
import { reasonName } from "./reasons.js";

/** Any value that JSON has. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** A verified token; frozen, and so is everything in it. It does not hold the text of the token. */
export interface Token {
  /** Name of the configured issuer that vouches for it; empty for a consumer's. */
  readonly issuerName: string;
  /** Name of the consumer whose key signed it; empty for an issuer's. */
  readonly consumer: string;
  /** The claim `iss`, empty where absent; so are `subject` and `tokenId`. */
  readonly issuer: string;
  /** The claim `sub`. */
  readonly subject: string;
  /** The claim `aud`. */
  readonly audiences: readonly string[];
  /** The claim `jti`. */
  readonly tokenId: string;
  /** Granted scopes, from `scope` or `scp`. */
  readonly scopes: readonly string[];
  /** The claim `iat`, undefined where absent; so are the two that follow. Each read gives a copy. */
  readonly issueTime: Date | undefined;
  /** The claim `nbf`. */
  readonly notBeforeTime: Date | undefined;
  /** The claim `exp`. */
  readonly expireTime: Date | undefined;
  /** `kid` of the key that verified it; empty where the key has none. */
  readonly keyId: string;
  /** JWS algorithm, such as "RS256". */
  readonly algorithm: string;
  /**
   * The claims set, a JSON object: an issuer's exactly as signed, of a consumer's token what the
   * consumer's record grants or allows, as in all that is said here.
   */
  readonly claimsJson: string;
  /**
   * `claimsJson` as JSON.parse reads it: integers beyond 2^53 lose digits. Read those from
   * `claimsJson`.
   */
  readonly claims: { readonly [name: string]: JsonValue };
}

/** What the sidecar says of a token. */
export type Verdict =
  | { readonly valid: true; readonly token: Token }
  | { readonly valid: false; readonly reason: string; readonly message: string };

/** What an answer says; throws SidecarUnavailable where that makes no sense. */
export function verdictOf(answer: ValidateTokenResponse): Verdict {
  if (!isYes(answer)) {
    const reason = reasonName(answer.reason);
    return Object.freeze({ valid: false, reason, message: answer.message });
  }
  if (!answer.token) {
    throw new SidecarUnavailable("the answer is yes, without a token");
  }
  return Object.freeze({ valid: true, token: verified(answer.token) });
}

/** Whether an answer is yes; throws SidecarUnavailable where it is both or neither. */
export function isYes(answer: { readonly valid: boolean; readonly reason: Reason }): boolean {
  const refused = answer.reason !== Reason.UNSPECIFIED;
  if (answer.valid === refused) {
    throw new SidecarUnavailable("the answer is neither yes nor no");
  }
  return answer.valid;
}

function verified(message: TokenMessage): Token {
  const issueTime = milliseconds(message.issueTime);
  const notBeforeTime = milliseconds(message.notBeforeTime);
  const expireTime = milliseconds(message.expireTime);
  return Object.freeze({
    issuerName: message.issuerName,
    consumer: message.consumer,
    issuer: message.issuer,
    subject: message.subject,
    audiences: Object.freeze([...message.audiences]),
    tokenId: message.tokenId,
    scopes: Object.freeze([...message.scopes]),
    // A Date can't be frozen.
    get issueTime() {
      return dateOf(issueTime);
    },
    get notBeforeTime() {
      return dateOf(notBeforeTime);
    },
    get expireTime() {
      return dateOf(expireTime);
    },
    keyId: message.keyId,
    algorithm: message.algorithm,
    claimsJson: message.claimsJson,
    claims: claimsOf(message.claimsJson),
  });
}

/** The time of an answer; throws SidecarUnavailable for one that no Date can be. */
export function timeOf(timestamp: Timestamp | undefined): Date | undefined {
  return dateOf(milliseconds(timestamp));
}

function milliseconds(timestamp: Timestamp | undefined): number | undefined {
  if (!timestamp) {
    return undefined;
  }
  const time = timestampDate(timestamp).getTime();
  if (Number.isNaN(time)) {
    throw new SidecarUnavailable("the answer holds a time that does not exist");
  }
  return time;
}

function dateOf(time: number | undefined): Date | undefined {
  return time === undefined ? undefined : new Date(time);
}

function claimsOf(json: string): Token["claims"] {
  let claims: unknown;
  try {
    claims = JSON.parse(json, (_, value: unknown) => Object.freeze(value));
  } catch {
    // The error of JSON.parse quotes the claims, so it is not told.
  }
  if (typeof claims !== "object" || claims === null || Array.isArray(claims)) {
    throw new SidecarUnavailable("the answer holds claims that are no JSON object");
  }
  return claims as Token["claims"];
}
