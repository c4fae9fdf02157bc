package io.jwtsidecar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonParser;
import com.google.protobuf.Duration;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import io.jwtsidecar.v1.Check;
import io.jwtsidecar.v1.ExplainTokenResponse;
import io.jwtsidecar.v1.IssueTokenRequest;
import io.jwtsidecar.v1.Reason;
import io.jwtsidecar.v1.RevokeTokenRequest;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The calls, as a real sidecar answers them. */
class RealSidecarTest {

  @TempDir private static Path directory;
  private static Sidecar sidecar;
  private static Client client;

  @BeforeAll
  static void start() {
    sidecar = Sidecar.realWithTls(directory);
    client =
        Client.builder()
            .address(sidecar.address())
            .deadline(java.time.Duration.ofSeconds(10))
            .build();
  }

  @AfterAll
  static void stop() {
    client.close();
    sidecar.close();
  }

  @Test
  void validatesWhatItIssued() {
    IssuedToken issued = issue("orders:read");
    Token token =
        client.validate(
            issued.token(),
            Requirements.none()
                .withIssuerName("internal")
                .withAudiences("orders", "billing")
                .withScopes("orders:read")
                .withRequiredClaims(Map.of("plan", List.of("free", "paid"), "level", 3)));
    assertEquals("alice", token.subject());
    assertEquals(issued.tokenId(), token.tokenId());
    assertEquals(List.of("orders:read"), token.scopes());
    assertEquals(issued.expireTime(), token.expireTime().orElseThrow());
    assertEquals(token, client.validate(issued.token()));
    assertFalse(issued.toString().contains(issued.token()));
  }

  @Test
  void refusesAnExpiredToken() throws Exception {
    assertRefused("EXPIRED", signedForJack(Instant.now().minusSeconds(3600)), Requirements.none());
    String inForce = signedForJack(Instant.now().plusSeconds(3600));
    assertEquals("jack", client.validate(inForce).consumer());
  }

  @Test
  void grantsAConsumerNothingThatItSaysOfItself() throws Exception {
    String boast =
        signedForJack(
            Instant.now().plusSeconds(3600),
            ",\"sub\":\"root\",\"scope\":\"orders:write\",\"aud\":\"orders\"");
    Token token = client.validate(boast);
    assertEquals("", token.subject());
    assertEquals(List.of(), token.scopes());
    assertEquals(List.of(), token.audiences());
    Requirements none = Requirements.none();
    assertRefused("SCOPE_INSUFFICIENT", boast, none.withScopes("orders:write"));
    assertRefused("AUDIENCE_MISMATCH", boast, none.withAudiences("orders"));
    assertRefused("CLAIM_MISSING", boast, none.withRequiredClaims(Map.of("sub", "root")));
  }

  @Test
  void refusesAnotherAudience() {
    assertRefused(
        "AUDIENCE_MISMATCH",
        issue("orders:read").token(),
        Requirements.none().withAudiences("billing"));
  }

  @Test
  void refusesWithoutTheScope() {
    TokenRefusedException refused =
        assertRefused(
            "SCOPE_INSUFFICIENT",
            issue("orders:read").token(),
            Requirements.none().withScopes("orders:write"));
    assertEquals(403, refused.httpStatus());
  }

  @Test
  void refusesAnotherValueOfAClaim() {
    assertRefused(
        "CLAIM_MISMATCH",
        issue("orders:read").token(),
        Requirements.none().withRequiredClaims(Map.of("plan", "paid")));
  }

  @Test
  void refusesNoToken() {
    assertRefused("TOKEN_MISSING", "", Requirements.none());
  }

  @Test
  void refreshes() {
    IssuedToken issued = issue("orders:read", "orders:write");
    IssuedToken refreshed = client.refresh(issued.refreshToken(), "orders:read");
    assertNotEquals(issued.token(), refreshed.token());
    assertEquals(List.of("orders:read"), client.validate(refreshed.token()).scopes());
    assertTrue(refreshed.refreshExpireTime().orElseThrow().isAfter(Instant.now()));
    assertFalse(refreshed.toString().contains(refreshed.refreshToken()));
    client.refresh(refreshed.refreshToken());
    TokenRefusedException refused =
        assertThrows(
            TokenRefusedException.class,
            () -> client.refresh(issued.refreshToken(), "orders:read"));
    assertFalse(refused.toString().contains(issued.refreshToken()));
  }

  @Test
  void refusesWhatWasRevoked() {
    String token = issue("orders:read").token();
    Instant before = Instant.now().minusSeconds(60);
    Instant revoked = client.revoke(RevokeTokenRequest.newBuilder().setToken(token).build());
    assertTrue(revoked.isAfter(before));
    assertRefused("REVOKED", token, Requirements.none());
  }

  @Test
  void explains() {
    ExplainTokenResponse explained =
        client.explain(issue("orders:read").token(), Requirements.none().withAudiences("billing"));
    assertEquals(Reason.REASON_AUDIENCE_MISMATCH, explained.getResult().getReason());
    assertTrue(
        explained.getChecksList().stream()
            .anyMatch(check -> check.getOutcome() == Check.Outcome.OUTCOME_FAILED));
  }

  @Test
  void givesThePublicKeys() {
    IssuedToken issued = issue("orders:read");
    assertTrue(
        JsonParser.parseString(client.jwks())
            .getAsJsonObject()
            .getAsJsonArray("keys")
            .asList()
            .stream()
            .anyMatch(
                key -> key.getAsJsonObject().get("kid").getAsString().equals(issued.keyId())));
  }

  @Test
  void saysWhatWasWrongWithACall() {
    CallRejectedException rejected =
        assertThrows(
            CallRejectedException.class,
            () -> client.issue(IssueTokenRequest.newBuilder().setSigner("nobody").build()));
    assertEquals(Status.Code.FAILED_PRECONDITION, rejected.code());
    assertEquals("NOT_CONFIGURED", rejected.errorReason());
    assertTrue(rejected.getMessage().contains("nobody"), rejected.getMessage());
  }

  @Test
  void showsACallerTokenOverTls() throws IOException {
    String caller = issue("orders:read").token();
    String token = issue("orders:write").token();
    try (Client known = overTls().callerToken(() -> caller).build();
        Client unknown = overTls().build();
        Client careless =
            overTls()
                .callerToken(
                    () -> {
                      throw new IOException("there is no token");
                    })
                .build()) {
      assertEquals("alice", known.validate(token).subject());
      assertEquals(
          "CALLER_DENIED",
          assertThrows(CallRejectedException.class, () -> unknown.validate(token)).errorReason());
      assertThrows(CallRejectedException.class, () -> careless.validate(token));
    }
  }

  @Test
  void asksNothingOfASidecarThatItDoesNotTrust() {
    try (Client distrustful =
        Client.builder()
            .address(sidecar.secondAddress())
            .tls(TlsChannelCredentials.create())
            .build()) {
      assertThrows(SidecarUnavailableException.class, () -> distrustful.validate("token"));
    }
  }

  private static Client.Builder overTls() throws IOException {
    return Client.builder()
        .address(sidecar.secondAddress())
        .deadline(java.time.Duration.ofSeconds(10))
        .tls(
            TlsChannelCredentials.newBuilder()
                .trustManager(directory.resolve("ca.pem").toFile())
                .build());
  }

  private static TokenRefusedException assertRefused(
      String reason, String token, Requirements requirements) {
    TokenRefusedException refused =
        assertThrows(TokenRefusedException.class, () -> client.validate(token, requirements));
    assertEquals(reason, refused.reason());
    assertTrue(token.isEmpty() || !refused.toString().contains(token));
    return refused;
  }

  private static IssuedToken issue(String... scopes) {
    return client.issue(
        IssueTokenRequest.newBuilder()
            .setSubject("alice")
            .addAllScopes(List.of(scopes))
            .setLifetime(Duration.newBuilder().setSeconds(60))
            .setClaimsJson("{\"plan\":\"free\",\"level\":3}")
            .setWithRefreshToken(true)
            .build());
  }

  private static String signedForJack(Instant expire) throws GeneralSecurityException {
    return signedForJack(expire, "");
  }

  private static String signedForJack(Instant expire, String more) throws GeneralSecurityException {
    String signed =
        encoded("{\"alg\":\"HS256\"}")
            + "."
            + encoded(
                "{\"key\":\"user-key\",\"exp\":%d%s}".formatted(expire.getEpochSecond(), more));
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(
        new SecretKeySpec(
            "an-example-secret-of-32-bytes-or-more".getBytes(StandardCharsets.US_ASCII), "HMAC"));
    byte[] signature = mac.doFinal(signed.getBytes(StandardCharsets.US_ASCII));
    return signed + "." + Base64.getUrlEncoder().withoutPadding().encodeToString(signature);
  }

  private static String encoded(String json) {
    return Base64.getUrlEncoder()
        .withoutPadding()
        .encodeToString(json.getBytes(StandardCharsets.US_ASCII));
  }
}
