package io.jwtsidecar;

import com.google.protobuf.Message;
import io.grpc.MethodDescriptor;
import io.grpc.protobuf.ProtoUtils;
import io.jwtsidecar.v1.ExplainTokenRequest;
import io.jwtsidecar.v1.ExplainTokenResponse;
import io.jwtsidecar.v1.GetJwksRequest;
import io.jwtsidecar.v1.GetJwksResponse;
import io.jwtsidecar.v1.IssueTokenRequest;
import io.jwtsidecar.v1.IssueTokenResponse;
import io.jwtsidecar.v1.RefreshTokenRequest;
import io.jwtsidecar.v1.RefreshTokenResponse;
import io.jwtsidecar.v1.RevokeTokenRequest;
import io.jwtsidecar.v1.RevokeTokenResponse;
import io.jwtsidecar.v1.ValidateTokenRequest;
import io.jwtsidecar.v1.ValidateTokenResponse;
import java.util.List;
import java.util.Map;

/** The methods of TokenService, and how they are called. */
final class Rpc {

  static final String SERVICE = "sidecar.v1.TokenService";

  static final MethodDescriptor<ValidateTokenRequest, ValidateTokenResponse> VALIDATE =
      unary(
          "ValidateToken",
          ValidateTokenRequest.getDefaultInstance(),
          ValidateTokenResponse.getDefaultInstance());
  static final MethodDescriptor<ExplainTokenRequest, ExplainTokenResponse> EXPLAIN =
      unary(
          "ExplainToken",
          ExplainTokenRequest.getDefaultInstance(),
          ExplainTokenResponse.getDefaultInstance());
  static final MethodDescriptor<IssueTokenRequest, IssueTokenResponse> ISSUE =
      unary(
          "IssueToken",
          IssueTokenRequest.getDefaultInstance(),
          IssueTokenResponse.getDefaultInstance());
  static final MethodDescriptor<RefreshTokenRequest, RefreshTokenResponse> REFRESH =
      unary(
          "RefreshToken",
          RefreshTokenRequest.getDefaultInstance(),
          RefreshTokenResponse.getDefaultInstance());
  static final MethodDescriptor<RevokeTokenRequest, RevokeTokenResponse> REVOKE =
      unary(
          "RevokeToken",
          RevokeTokenRequest.getDefaultInstance(),
          RevokeTokenResponse.getDefaultInstance());
  static final MethodDescriptor<GetJwksRequest, GetJwksResponse> JWKS =
      unary("GetJwks", GetJwksRequest.getDefaultInstance(), GetJwksResponse.getDefaultInstance());

  /**
   * gRPC's service config: three attempts on UNAVAILABLE; RefreshToken once, since a refresh token
   * works once.
   */
  static final Map<String, Object> SERVICE_CONFIG =
      Map.of(
          "methodConfig",
          List.of(
              Map.of(
                  "name",
                  List.of(
                      named(VALIDATE), named(EXPLAIN), named(ISSUE), named(REVOKE), named(JWKS)),
                  "retryPolicy",
                  Map.of(
                      "maxAttempts",
                      3.0,
                      "initialBackoff",
                      "0.05s",
                      "maxBackoff",
                      "0.5s",
                      "backoffMultiplier",
                      2.0,
                      "retryableStatusCodes",
                      List.of("UNAVAILABLE")))));

  private Rpc() {}

  private static <Q extends Message, A extends Message> MethodDescriptor<Q, A> unary(
      String name, Q request, A answer) {
    return MethodDescriptor.<Q, A>newBuilder()
        .setType(MethodDescriptor.MethodType.UNARY)
        .setFullMethodName(MethodDescriptor.generateFullMethodName(SERVICE, name))
        .setRequestMarshaller(ProtoUtils.marshaller(request))
        .setResponseMarshaller(ProtoUtils.marshaller(answer))
        .build();
  }

  private static Map<String, String> named(MethodDescriptor<?, ?> method) {
    return Map.of("service", SERVICE, "method", method.getBareMethodName());
  }
}
