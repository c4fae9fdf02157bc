package io.jwtsidecar;

import io.grpc.Metadata;
import io.jwtsidecar.v1.Reason;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The token in Authorization headers (RFC 6750, section 2.1). */
final class BearerToken {

  static final Metadata.Key<String> METADATA =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  /** A scheme (RFC 9110, section 5.6.2), and what follows it. */
  private static final Pattern CREDENTIALS =
      Pattern.compile("([!#$%&'*+.^_`|~0-9A-Za-z-]+)(.*)", Pattern.DOTALL);

  private static final Pattern TOKEN = Pattern.compile("[A-Za-z0-9._~+/-]+=*");
  private static final Pattern SPACES_AND_TOKEN = Pattern.compile(" +(" + TOKEN + ")");

  private BearerToken() {}

  /**
   * @throws TokenRefusedException unless there is one header, with a bearer token
   */
  static String in(List<String> headers, Requirements required) {
    if (headers.size() > 1) {
      throw malformed("there is more than one Authorization header", required);
    }
    Matcher credentials = CREDENTIALS.matcher(headers.isEmpty() ? "" : headers.get(0));
    if (!credentials.matches()
        || !credentials.group(1).equalsIgnoreCase("Bearer")
        || credentials.group(2).isBlank()) {
      throw refused(
          Reason.REASON_TOKEN_MISSING, "there is no Authorization header with a token", required);
    }
    Matcher token = SPACES_AND_TOKEN.matcher(credentials.group(2));
    if (!token.matches()) {
      throw malformed("the Authorization header is not Bearer, spaces and a token", required);
    }
    return token.group(1);
  }

  /** Whether the text is RFC 6750's {@code b64token}. */
  static boolean isToken(String text) {
    return TOKEN.matcher(text).matches();
  }

  private static TokenRefusedException malformed(String explanation, Requirements required) {
    return refused(Reason.REASON_TOKEN_MALFORMED, explanation, required);
  }

  private static TokenRefusedException refused(
      Reason reason, String explanation, Requirements required) {
    return new TokenRefusedException(
        reason.getNumber(), explanation, required.scopes(), required.hasDpop());
  }
}
