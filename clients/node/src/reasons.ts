/** Reasons by their names in the contract, and what each means in HTTP and in gRPC. */

import { status } from "@grpc/grpc-js";
import { Reason } from "./gen/sidecar/v1/reason_pb.js";

/** The contract's name without `REASON_`; the number where it is a newer sidecar's. */
export function reasonName(reason: number): string {
  return Reason[reason] ?? String(reason);
}

/** How a refusal is told: 401, 403 or 503, as the sidecar itself tells proxies. */
export interface Outcome {
  readonly httpStatus: number;
  readonly grpcStatus: status;
}

const UNAUTHENTICATED: Outcome = { httpStatus: 401, grpcStatus: status.UNAUTHENTICATED };
const PERMISSION_DENIED: Outcome = { httpStatus: 403, grpcStatus: status.PERMISSION_DENIED };
const UNAVAILABLE: Outcome = { httpStatus: 503, grpcStatus: status.UNAVAILABLE };

const FIRST_OF_AUTHORIZATION = 80;
const LAST_OF_AUTHORIZATION = 99;

/**
 * The outcome of a reason, given by its name; of numbers that have none yet, by their range.
 * `insufficient` says that the call asked for what the token lacks.
 */
export function outcomeOf(name: string, insufficient: boolean): Outcome {
  const reason: number = Reason[name as keyof typeof Reason] ?? Number(name);
  switch (reason) {
    case Reason.KEYS_UNAVAILABLE:
    case Reason.STATE_UNAVAILABLE:
      return UNAVAILABLE;
    case Reason.PROOF_INVALID:
      return insufficient ? PERMISSION_DENIED : UNAUTHENTICATED;
    default:
      return insufficient || (reason >= FIRST_OF_AUTHORIZATION && reason <= LAST_OF_AUTHORIZATION)
        ? PERMISSION_DENIED
        : UNAUTHENTICATED;
  }
}
