package io.jwtsidecar;

/** Texts of {@code WWW-Authenticate} (RFC 6750, section 3; RFC 9449, section 7.1). */
final class Challenge {

  /** In characters: what the sidecar itself sends of a message. */
  private static final int LONGEST_PARAMETER = 500;

  private Challenge() {}

  static String bearer(String realm) {
    return "Bearer realm=" + quoted(realm);
  }

  static String invalidToken(String realm, String description) {
    return bearer(realm) + ", error=\"invalid_token\", error_description=" + quoted(description);
  }

  static String insufficientScope(String realm, String scope) {
    return bearer(realm) + ", error=\"insufficient_scope\", scope=" + quoted(scope);
  }

  static String invalidDpopProof(String realm, String description) {
    return "DPoP realm="
        + quoted(realm)
        + ", error=\"invalid_dpop_proof\", error_description="
        + quoted(description);
  }

  /** In the characters that RFC 6750, section 3 allows, and of a bounded length. */
  private static String quoted(String text) {
    StringBuilder quoted = new StringBuilder("\"");
    text.codePoints()
        .limit(LONGEST_PARAMETER)
        .map(Challenge::sendable)
        .forEach(quoted::appendCodePoint);
    return quoted.append('"').toString();
  }

  private static int sendable(int character) {
    return switch (character) {
      case '"' -> '\'';
      case '\\' -> '/';
      default -> character >= ' ' && character <= '~' ? character : '?';
    };
  }
}
