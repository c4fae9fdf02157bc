/** Asks a sidecar. */

import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { type Client as Channel, Metadata } from "@grpc/grpc-js";
import { call } from "./call.js";
import { channelTo, defaultAddress, type Tls } from "./channel.js";
import { SidecarUnavailable, TokenRefused } from "./errors.js";
import { type Explanation, explanationOf } from "./explanation.js";
import { TokenService } from "./gen/sidecar/v1/token_service_pb.js";
import {
  type IssuedToken,
  issuedToken,
  issueRequest,
  type Revocation,
  revokeRequest,
  type TokenToIssue,
} from "./issuing.js";
import { reasonName } from "./reasons.js";
import { isYes, type Token, timeOf, verdictOf } from "./token.js";
import {
  type CallOptions,
  checkedDeadline,
  type Validation,
  validationRequest,
} from "./validation.js";

/** What every call of a client has in common. */
export interface ClientOptions {
  /** Milliseconds until a call ends with SidecarUnavailable, retries included. Default: 1000. */
  readonly deadlineMs?: number;
  /** TLS, for an address that is not on this machine; `{}` trusts the CAs that Node.js does. */
  readonly tls?: Tls;
  /**
   * Gives the token that this caller shows to a listener with `caller_token`, without "Bearer".
   * It is asked at each call, since such tokens expire.
   */
  readonly callerToken?: () => string;
}

const DEADLINE_MS = 1_000;
const TOKEN68 = /^[A-Za-z0-9._~+/-]+=*$/;

/**
 * One channel to the sidecar, for the life of the process. It connects at the first call, and by
 * itself again whenever it must.
 *
 * Every method rejects with SidecarUnavailable where there is no answer that makes sense, and
 * with CallRejected where the call was wrong.
 */
export class Client {
  readonly #channel: Channel;
  readonly #deadlineMs: number;
  readonly #callerToken: (() => string) | undefined;
  #closed = false;

  /**
   * The address is `unix:PATH` or `host:port`. Default: the environment's JWT_SIDECAR_ADDRESS,
   * else `unix:/run/jwt-sidecar/sidecar.sock`. Throws TypeError or RangeError where an argument
   * can't be.
   */
  constructor(address: string = defaultAddress(), options: ClientOptions = {}) {
    this.#deadlineMs = checkedDeadline(options.deadlineMs ?? DEADLINE_MS);
    this.#callerToken = options.callerToken;
    this.#channel = channelTo(address, options.tls);
  }

  /** The verified token; rejects with TokenRefused where it may not pass. */
  async validate(token: string, asked: Validation = {}): Promise<Token> {
    const request = validationRequest(token, asked);
    const secrets = [token, asked.proof?.dpop ?? ""];
    const answer = await this.#call(TokenService.method.validateToken, request, asked, secrets);
    const verdict = verdictOf(answer);
    if (!verdict.valid) {
      const { scopes = [], proof } = asked;
      const dpop = Boolean(proof?.dpop);
      const { insufficient } = answer;
      throw new TokenRefused(verdict.reason, verdict.message, { scopes, dpop, insufficient });
    }
    return verdict.token;
  }

  /** Every check of a token, for finding out why it is refused; changes no state. */
  async explain(token: string, asked: Validation = {}): Promise<Explanation> {
    const request = { request: validationRequest(token, asked) };
    const secrets = [token, asked.proof?.dpop ?? ""];
    return explanationOf(
      await this.#call(TokenService.method.explainToken, request, asked, secrets),
    );
  }

  /** A new token, signed by a configured signer or with a consumer's key. */
  async issue(wanted: TokenToIssue = {}, options: CallOptions = {}): Promise<IssuedToken> {
    return issuedToken(
      await this.#call(TokenService.method.issueToken, issueRequest(wanted), options, []),
    );
  }

  /**
   * A new access token and a new refresh token for a refresh token, which works once (RFC 9700,
   * section 4.14). Left out, `scopes` are those first granted. Rejects with TokenRefused where
   * the refresh token is unknown, used, expired or revoked. Never retried.
   */
  async refresh(
    refreshToken: string,
    options: CallOptions & { readonly scopes?: readonly string[] } = {},
  ): Promise<IssuedToken> {
    const scopes = [...(options.scopes ?? [])];
    const { method } = TokenService;
    const request = { refreshToken, scopes };
    const answer = await this.#call(method.refreshToken, request, options, [refreshToken]);
    if (!isYes(answer)) {
      throw new TokenRefused(reasonName(answer.reason), answer.message, { scopes });
    }
    if (!answer.issued) {
      throw new SidecarUnavailable("the answer is yes, without a token");
    }
    return issuedToken(answer.issued);
  }

  /** Revokes, durably; gives when it took effect on this sidecar. `note` is for its log. */
  async revoke(
    what: Revocation,
    options: CallOptions & { readonly note?: string } = {},
  ): Promise<Date> {
    const request = revokeRequest(what, options.note ?? "");
    const secrets = Object.values(what).filter((one) => typeof one === "string");
    const answer = await this.#call(TokenService.method.revokeToken, request, options, secrets);
    const time = timeOf(answer.revokeTime);
    if (!time) {
      throw new SidecarUnavailable("the answer holds no time");
    }
    return time;
  }

  /** The public keys of the configured signers: a JWK Set (RFC 7517) as JSON. */
  async jwks(options: CallOptions = {}): Promise<string> {
    const { jwksJson } = await this.#call(TokenService.method.getJwks, {}, options, []);
    if (!jwksJson) {
      throw new SidecarUnavailable("the answer holds no JWK Set");
    }
    return jwksJson;
  }

  /** Ends the channel. Calls that run may end; later ones end with SidecarUnavailable. */
  close(): void {
    this.#closed = true;
    this.#channel.close();
  }

  async #call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    { deadlineMs = this.#deadlineMs }: CallOptions,
    secrets: readonly string[],
  ): Promise<MessageShape<O>> {
    if (this.#closed) {
      throw new SidecarUnavailable("the client is closed");
    }
    const metadata = new Metadata();
    const caller = this.#callerToken?.();
    if (caller !== undefined) {
      metadata.set("authorization", `Bearer ${checkedToken(caller)}`);
    }
    return call(
      this.#channel,
      method,
      create(method.input, request),
      metadata,
      checkedDeadline(deadlineMs),
      [...secrets, caller ?? ""],
    );
  }
}

function checkedToken(token: string): string {
  if (!TOKEN68.test(token)) {
    throw new TypeError("callerToken must give a token alone, without Bearer, spaces or line ends");
  }
  return token;
}
