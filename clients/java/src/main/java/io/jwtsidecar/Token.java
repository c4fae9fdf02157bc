package io.jwtsidecar;

import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A token that passed every check. Only {@link Client} makes one. Immutable; it does not hold the
 * signed text.
 */
public final class Token {

  private final io.jwtsidecar.v1.Token verified;
  private final Map<String, Object> claims;
  private final Optional<Instant> issueTime;
  private final Optional<Instant> notBeforeTime;
  private final Optional<Instant> expireTime;

  /**
   * @throws java.time.DateTimeException where a time is none that an {@link Instant} can be
   */
  Token(io.jwtsidecar.v1.Token verified, Map<String, Object> claims) {
    this.verified = verified;
    this.claims = claims;
    issueTime = Times.of(verified.hasIssueTime(), verified.getIssueTime());
    notBeforeTime = Times.of(verified.hasNotBeforeTime(), verified.getNotBeforeTime());
    expireTime = Times.of(verified.hasExpireTime(), verified.getExpireTime());
  }

  /** Name of the configured issuer that vouches for it; empty for a consumer's. */
  public String issuerName() {
    return verified.getIssuerName();
  }

  /** Name of the consumer whose key signed it; empty for an issuer's. */
  public String consumer() {
    return verified.getConsumer();
  }

  /** The claim {@code iss}; empty where absent. */
  public String issuer() {
    return verified.getIssuer();
  }

  /** The claim {@code sub}; empty where absent. */
  public String subject() {
    return verified.getSubject();
  }

  /** The claim {@code aud}. */
  public List<String> audiences() {
    return verified.getAudiencesList();
  }

  /** The claim {@code jti}; empty where absent. */
  public String tokenId() {
    return verified.getTokenId();
  }

  /** Granted scopes, from {@code scope} or {@code scp}. */
  public List<String> scopes() {
    return verified.getScopesList();
  }

  /** The claim {@code iat}. */
  public Optional<Instant> issueTime() {
    return issueTime;
  }

  /** The claim {@code nbf}. */
  public Optional<Instant> notBeforeTime() {
    return notBeforeTime;
  }

  /** The claim {@code exp}. */
  public Optional<Instant> expireTime() {
    return expireTime;
  }

  /** {@code kid} of the key that verified it; empty where the key has none. */
  public String keyId() {
    return verified.getKeyId();
  }

  /** JWS algorithm, such as "RS256". */
  public String algorithm() {
    return verified.getAlgorithm();
  }

  /**
   * The claims set: an issuer's exactly as signed, of a consumer's token what the consumer's record
   * grants or allows, as in all that is said here.
   */
  public String claimsJson() {
    return verified.getClaimsJson();
  }

  /**
   * The claims set: String, {@link java.math.BigDecimal}, Boolean, null, List and Map, all
   * immutable.
   */
  public Map<String, Object> claims() {
    return claims;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Token token && verified.equals(token.verified);
  }

  @Override
  public int hashCode() {
    return verified.hashCode();
  }

  /** Whose token it is; not its claims. */
  @Override
  public String toString() {
    return "Token[issuerName=%s, consumer=%s, subject=%s, tokenId=%s]"
        .formatted(issuerName(), consumer(), subject(), tokenId());
  }
}
