package io.jwtsidecar;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.gson.Gson;
import com.google.protobuf.Descriptors.ServiceDescriptor;
import com.google.protobuf.Message;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.PrototypeMarshaller;
import io.jwtsidecar.v1.TokenServiceOuterClass;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** How the methods are called. */
class RpcTest {

  private static final ServiceDescriptor CONTRACT =
      TokenServiceOuterClass.getDescriptor().findServiceByName("TokenService");
  private static final List<MethodDescriptor<?, ?>> METHODS =
      List.of(Rpc.VALIDATE, Rpc.EXPLAIN, Rpc.ISSUE, Rpc.REFRESH, Rpc.REVOKE, Rpc.JWKS);

  @Test
  void hasTheServiceConfigOfEveryClient() {
    assertEquals(new Gson().fromJson(Table.serviceConfig(), Map.class), Rpc.SERVICE_CONFIG);
  }

  @Test
  void hasTheMethodsOfTheContract() {
    assertEquals(
        CONTRACT.getMethods().stream()
            .map(
                method ->
                    List.of(
                        CONTRACT.getFullName() + "/" + method.getName(),
                        method.getInputType().getFullName(),
                        method.getOutputType().getFullName()))
            .toList(),
        METHODS.stream()
            .map(
                method ->
                    List.of(
                        method.getFullMethodName(),
                        type(method.getRequestMarshaller()),
                        type(method.getResponseMarshaller())))
            .toList());
  }

  private static String type(MethodDescriptor.Marshaller<?> marshaller) {
    Object prototype = ((PrototypeMarshaller<?>) marshaller).getMessagePrototype();
    return ((Message) prototype).getDescriptorForType().getFullName();
  }
}
