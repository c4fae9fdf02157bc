package io.jwtsidecar;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpFilter;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.lang.System.Logger;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.Objects;

/**
 * Lets a request pass only with a valid bearer token (RFC 6750), and answers the others: 401 or 403
 * where the token is refused, 503 where the sidecar gives no answer, 500 where the call was wrong.
 *
 * <p>What runs behind it gets the token from {@link #token}.
 */
public final class BearerFilter extends HttpFilter {

  private static final long serialVersionUID = 1L;
  private static final String ATTRIBUTE = Token.class.getName();
  private static final Logger LOG = System.getLogger(BearerFilter.class.getName());

  private final transient Client client;
  private final String realm;
  private final transient Requirements requirements;

  /** For any token that the sidecar's configuration lets pass. */
  public BearerFilter(Client client, String realm) {
    this(client, realm, Requirements.none());
  }

  /**
   * @param client stays the caller's to close
   * @param realm what {@code WWW-Authenticate} names the service
   * @param requirements what every token must meet
   */
  public BearerFilter(Client client, String realm, Requirements requirements) {
    this.client = Objects.requireNonNull(client);
    this.realm = Objects.requireNonNull(realm);
    this.requirements = Objects.requireNonNull(requirements);
  }

  /**
   * The token that a request passed with.
   *
   * @throws IllegalStateException where no such filter is before the caller
   */
  public static Token token(HttpServletRequest request) {
    if (request.getAttribute(ATTRIBUTE) instanceof Token token) {
      return token;
    }
    throw new IllegalStateException("no BearerFilter is before this");
  }

  @Override
  protected void doFilter(
      HttpServletRequest request, HttpServletResponse response, FilterChain chain)
      throws IOException, ServletException {
    try {
      request.setAttribute(ATTRIBUTE, validated(request));
    } catch (SidecarException why) {
      deny(response, why);
      return;
    }
    chain.doFilter(request, response);
  }

  private Token validated(HttpServletRequest request) {
    var headers = Collections.list(request.getHeaders("Authorization"));
    return client.validate(BearerToken.in(headers, requirements), requirements);
  }

  private void deny(HttpServletResponse response, SidecarException why) throws IOException {
    Denial.log(LOG, why);
    response.setStatus(why.httpStatus());
    if (why.httpStatus() == HttpServletResponse.SC_SERVICE_UNAVAILABLE) {
      response.setHeader("Retry-After", Denial.RETRY_AFTER_SECONDS);
    }
    if (why instanceof TokenRefusedException refused) {
      refused
          .wwwAuthenticate(realm)
          .ifPresent(challenge -> response.setHeader("WWW-Authenticate", challenge));
    }
    response.setContentType("application/json");
    response.getOutputStream().write(Denial.body(why).getBytes(StandardCharsets.UTF_8));
  }
}
