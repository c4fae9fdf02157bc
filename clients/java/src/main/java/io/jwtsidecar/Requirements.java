package io.jwtsidecar;

import com.google.protobuf.ByteString;
import io.jwtsidecar.v1.ProofOfPossession;
import io.jwtsidecar.v1.ValidateTokenRequest;
import java.util.List;
import java.util.Map;

/**
 * What a token must meet, beyond what the sidecar's configuration says, and how it was presented.
 * Immutable: each method gives another one.
 *
 * <pre>{@code
 * Requirements.none().withAudiences("orders").withScopes("orders:read")
 * }</pre>
 */
public final class Requirements {

  private static final Requirements NONE =
      new Requirements(ValidateTokenRequest.getDefaultInstance());

  private final ValidateTokenRequest request;

  private Requirements(ValidateTokenRequest request) {
    this.request = request;
  }

  /** Nothing but the sidecar's configuration. */
  public static Requirements none() {
    return NONE;
  }

  /** The token must come from the configured issuer of this name. */
  public Requirements withIssuerName(String name) {
    return new Requirements(request.toBuilder().setIssuerName(name).build());
  }

  /** At least one of these must be in {@code aud}; replaces the issuer's audiences. */
  public Requirements withAudiences(String... audiences) {
    return new Requirements(
        request.toBuilder().clearAudiences().addAllAudiences(List.of(audiences)).build());
  }

  /** Every one of these must be granted by the token's scopes. */
  public Requirements withScopes(String... scopes) {
    return new Requirements(
        request.toBuilder().clearScopes().addAllScopes(List.of(scopes)).build());
  }

  /**
   * Claims that must be present with these values, by dotted path ("realm_access.roles"): a String,
   * Number or Boolean must equal the claim or be an element of it; an array or a List means any one
   * of its elements.
   *
   * @throws IllegalArgumentException for a number that JSON does not have
   */
  public Requirements withRequiredClaims(Map<String, ?> claims) {
    return new Requirements(request.toBuilder().setRequiredClaimsJson(Json.text(claims)).build());
  }

  /** Address of the one who presented the token, for address rules: IPv4 or IPv6 text. */
  public Requirements withClientAddress(String address) {
    return new Requirements(request.toBuilder().setClientAddress(address).build());
  }

  /**
   * Proof that the presenter holds the key that the token is bound to (RFC 9449).
   *
   * @param proof the header {@code DPoP}
   * @param method HTTP method of that request, such as "GET"
   * @param uri target URI of that request, without query and fragment
   */
  public Requirements withDpop(String proof, String method, String uri) {
    ProofOfPossession.Builder dpop =
        request.getProof().toBuilder().setDpop(proof).setHttpMethod(method).setHttpUri(uri);
    return new Requirements(request.toBuilder().setProof(dpop).build());
  }

  /**
   * The client certificate of the presenter's connection, for tokens bound to it (RFC 8705).
   *
   * @param sha256 the SHA-256 of the certificate in DER, 32 bytes
   */
  public Requirements withClientCertificate(byte[] sha256) {
    ProofOfPossession.Builder certificate =
        request.getProof().toBuilder().setClientCertificateSha256(ByteString.copyFrom(sha256));
    return new Requirements(request.toBuilder().setProof(certificate).build());
  }

  ValidateTokenRequest request(String token) {
    return request.toBuilder().setToken(token).build();
  }

  List<String> scopes() {
    return request.getScopesList();
  }

  boolean hasDpop() {
    return !request.getProof().getDpop().isEmpty();
  }

  /** Without the proof. */
  @Override
  public String toString() {
    return "Requirements[issuerName=%s, audiences=%s, scopes=%s, requiredClaims=%s]"
        .formatted(
            request.getIssuerName(),
            request.getAudiencesList(),
            request.getScopesList(),
            request.getRequiredClaimsJson());
  }
}
