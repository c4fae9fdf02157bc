package io.jwtsidecar;

import io.jwtsidecar.v1.IssueTokenResponse;
import java.time.Instant;
import java.util.Optional;

/**
 * A token that the sidecar signed.
 *
 * @param token the signed token in compact form
 * @param tokenId {@code jti}
 * @param keyId {@code kid} of the key that signed it
 * @param algorithm JWS algorithm, such as "ES256"
 * @param issueTime {@code iat}
 * @param expireTime {@code exp}
 * @param refreshToken opaque; empty unless asked for
 * @param refreshExpireTime when the refresh token ends
 */
public record IssuedToken(
    String token,
    String tokenId,
    String keyId,
    String algorithm,
    Instant issueTime,
    Instant expireTime,
    String refreshToken,
    Optional<Instant> refreshExpireTime) {

  /**
   * @throws java.time.DateTimeException where a time is none that an {@link Instant} can be
   */
  static IssuedToken of(IssueTokenResponse issued) {
    return new IssuedToken(
        issued.getToken(),
        issued.getTokenId(),
        issued.getKeyId(),
        issued.getAlgorithm(),
        Times.of(issued.getIssueTime()),
        Times.of(issued.getExpireTime()),
        issued.getRefreshToken(),
        Times.of(issued.hasRefreshExpireTime(), issued.getRefreshExpireTime()));
  }

  /** Neither the token nor the refresh token. */
  @Override
  public String toString() {
    return "IssuedToken[tokenId=%s, keyId=%s, expireTime=%s]".formatted(tokenId, keyId, expireTime);
  }
}
