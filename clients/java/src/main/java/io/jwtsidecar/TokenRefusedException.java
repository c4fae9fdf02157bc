package io.jwtsidecar;

import io.grpc.Status;
import io.jwtsidecar.v1.Reason;
import java.util.List;
import java.util.Optional;

/** The token may not pass. */
public final class TokenRefusedException extends SidecarException {

  private static final long serialVersionUID = 1L;
  private static final String PREFIX = "REASON_";

  private final int number;
  private final String explanation;
  private final String scope;
  private final boolean dpop;
  private final boolean insufficient;

  /**
   * @param number the reason's, which may be one that this client does not know
   * @param explanation one sentence for a person
   * @param scopes those that were required
   * @param dpop whether a DPoP proof was presented
   */
  TokenRefusedException(int number, String explanation, List<String> scopes, boolean dpop) {
    this(number, explanation, scopes, dpop, false);
  }

  /**
   * @param insufficient whether the call asked for what the token lacks, and not the sidecar's
   *     configuration
   */
  TokenRefusedException(
      int number, String explanation, List<String> scopes, boolean dpop, boolean insufficient) {
    super(name(number) + ": " + explanation, null);
    this.number = number;
    this.explanation = explanation;
    this.scope = String.join(" ", scopes);
    this.dpop = dpop;
    this.insufficient = insufficient;
  }

  /**
   * Name of the contract's {@code Reason} without its prefix, such as "EXPIRED"; its number, such
   * as "79", where it is a newer sidecar's. Stable: branch on this.
   */
  public String reason() {
    return name(number);
  }

  /** One sentence for a person, without the reason. Not stable. */
  public String explanation() {
    return explanation;
  }

  /** 401, 403, or 503 where the sidecar lacks what it needs to decide. */
  @Override
  public int httpStatus() {
    return switch (grpcStatus()) {
      case UNAVAILABLE -> 503;
      case PERMISSION_DENIED -> 403;
      default -> 401;
    };
  }

  /** UNAUTHENTICATED, PERMISSION_DENIED, or UNAVAILABLE where a later try may pass. */
  @Override
  public Status.Code grpcStatus() {
    return switch (number) {
      case Reason.REASON_KEYS_UNAVAILABLE_VALUE, Reason.REASON_STATE_UNAVAILABLE_VALUE ->
          Status.Code.UNAVAILABLE;
      default -> isForbidden() ? Status.Code.PERMISSION_DENIED : Status.Code.UNAUTHENTICATED;
    };
  }

  /**
   * The {@code WWW-Authenticate} that belongs to it (RFC 6750, section 3; RFC 9449, section 7.1);
   * empty where another token would not help.
   */
  public Optional<String> wwwAuthenticate(String realm) {
    if (isForbidden() && number != Reason.REASON_SCOPE_INSUFFICIENT_VALUE) {
      return Optional.empty();
    }
    return switch (number) {
      case Reason.REASON_TOKEN_MISSING_VALUE -> Optional.of(Challenge.bearer(realm));
      case Reason.REASON_SCOPE_INSUFFICIENT_VALUE ->
          Optional.of(Challenge.insufficientScope(realm, scope));
      case Reason.REASON_PROOF_INVALID_VALUE ->
          Optional.of(
              dpop
                  ? Challenge.invalidDpopProof(realm, explanation)
                  : Challenge.invalidToken(realm, explanation));
      default ->
          grpcStatus() == Status.Code.UNAUTHENTICATED
              ? Optional.of(Challenge.invalidToken(realm, explanation))
              : Optional.empty();
    };
  }

  /** Whether the token lacks what the call asked for, or the reason is one of authorization. */
  private boolean isForbidden() {
    return insufficient
        || number >= 80 && number <= 99 && number != Reason.REASON_PROOF_INVALID_VALUE;
  }

  private static String name(int number) {
    Reason known = Reason.forNumber(number);
    return known == null ? Integer.toString(number) : known.name().substring(PREFIX.length());
  }
}
