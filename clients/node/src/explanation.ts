/** Why a token is refused, check by check. */

import { SidecarUnavailable } from "./errors.js";
import { Check_Outcome, type ExplainTokenResponse } from "./gen/sidecar/v1/token_service_pb.js";
import { reasonName } from "./reasons.js";
import { type Verdict, verdictOf } from "./token.js";

/** One check. */
export interface Check {
  /** Stable name, such as "signature" or "audience". */
  readonly name: string;
  /** "PASSED", "FAILED" or "SKIPPED"; a number where it is a newer sidecar's. */
  readonly outcome: string;
  /** As TokenRefused's; empty where the check did not fail. */
  readonly reason: string;
  /** What was expected and what was found, in a sentence. */
  readonly detail: string;
}

/** Every check in the order made. */
export interface Explanation {
  readonly result: Verdict;
  readonly checks: readonly Check[];
  /** The header as decoded, NOT verified; empty where it does not decode. */
  readonly unverifiedHeaderJson: string;
  /** The claims set as decoded, NOT verified; empty where it does not decode. */
  readonly unverifiedClaimsJson: string;
}

/** The explanation of an answer; throws SidecarUnavailable where that makes no sense. */
export function explanationOf(answer: ExplainTokenResponse): Explanation {
  if (!answer.result) {
    throw new SidecarUnavailable("the answer holds no result");
  }
  return Object.freeze({
    result: verdictOf(answer.result),
    checks: Object.freeze(
      answer.checks.map(({ name, outcome, reason, detail }) =>
        Object.freeze({
          name,
          outcome: Check_Outcome[outcome] ?? String(outcome),
          reason: reason ? reasonName(reason) : "",
          detail,
        }),
      ),
    ),
    unverifiedHeaderJson: answer.unverifiedHeaderJson,
    unverifiedClaimsJson: answer.unverifiedClaimsJson,
  });
}
