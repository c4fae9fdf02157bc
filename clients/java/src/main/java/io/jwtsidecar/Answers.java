package io.jwtsidecar;

import io.jwtsidecar.v1.ExplainTokenResponse;
import io.jwtsidecar.v1.GetJwksResponse;
import io.jwtsidecar.v1.IssueTokenResponse;
import io.jwtsidecar.v1.Reason;
import io.jwtsidecar.v1.RefreshTokenResponse;
import io.jwtsidecar.v1.RevokeTokenResponse;
import io.jwtsidecar.v1.ValidateTokenResponse;
import java.io.IOException;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.List;

/** What the sidecar's answers mean. Pure; one that makes no sense is as good as none. */
final class Answers {

  private static final int NO_REASON = Reason.REASON_UNSPECIFIED_VALUE;

  private Answers() {}

  static Token token(ValidateTokenResponse answer, Requirements required) {
    if (!answer.getValid() && answer.getReasonValue() != NO_REASON) {
      throw new TokenRefusedException(
          answer.getReasonValue(),
          answer.getMessage(),
          required.scopes(),
          required.hasDpop(),
          answer.getInsufficient());
    }
    require(answer.getValid(), "neither valid nor a reason");
    require(answer.getReasonValue() == NO_REASON, "valid, with a reason");
    require(answer.hasToken(), "valid, without a token");
    try {
      return new Token(answer.getToken(), Json.object(answer.getToken().getClaimsJson()));
    } catch (IOException e) {
      // Not the cause, which quotes claims.
      throw senseless("claims that are no JSON object");
    } catch (DateTimeException e) {
      throw senseless("a time out of range");
    }
  }

  static ExplainTokenResponse explanation(ExplainTokenResponse answer) {
    require(answer.hasResult(), "no result");
    return answer;
  }

  static IssuedToken issued(IssueTokenResponse answer) {
    require(!answer.getToken().isEmpty(), "no token");
    try {
      return IssuedToken.of(answer);
    } catch (DateTimeException e) {
      throw senseless("a time out of range");
    }
  }

  static IssuedToken refreshed(RefreshTokenResponse answer) {
    if (!answer.getValid() && answer.getReasonValue() != NO_REASON) {
      throw new TokenRefusedException(
          answer.getReasonValue(), answer.getMessage(), List.of(), false);
    }
    require(answer.getValid(), "neither valid nor a reason");
    require(answer.getReasonValue() == NO_REASON, "valid, with a reason");
    return issued(answer.getIssued());
  }

  static Instant revokeTime(RevokeTokenResponse answer) {
    require(answer.hasRevokeTime(), "no time");
    try {
      return Times.of(answer.getRevokeTime());
    } catch (DateTimeException e) {
      throw senseless("a time out of range");
    }
  }

  static String jwks(GetJwksResponse answer) {
    try {
      Json.object(answer.getJwksJson());
      return answer.getJwksJson();
    } catch (IOException e) {
      throw senseless("a JWK Set that is no JSON object");
    }
  }

  private static void require(boolean sensible, String otherwise) {
    if (!sensible) {
      throw senseless(otherwise);
    }
  }

  private static SidecarUnavailableException senseless(String what) {
    return new SidecarUnavailableException("the sidecar's answer makes no sense: " + what, null);
  }
}
