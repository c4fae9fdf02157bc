package io.jwtsidecar;

import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.ManagedChannelBuilder;
import io.grpc.ManagedChannelRegistry;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.netty.channel.ChannelOption;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.Map;
import java.util.regex.Pattern;

/** Where a sidecar listens: {@code unix:PATH} or {@code host:port}. */
final class Address {

  private static final String VARIABLE = "JWT_SIDECAR_ADDRESS";
  private static final String DEFAULT = "unix:/run/jwt-sidecar/sidecar.sock";
  private static final String UNIX = "unix:";
  private static final Pattern HOST_AND_PORT =
      Pattern.compile("(\\[[0-9A-Fa-f:.]+]|[0-9A-Za-z._-]+):[0-9]{1,5}");

  private Address() {}

  static String in(Map<String, String> environment) {
    String address = environment.getOrDefault(VARIABLE, "");
    return address.isEmpty() ? DEFAULT : address;
  }

  /**
   * @throws IllegalArgumentException where it is neither of the two
   * @throws UnsupportedOperationException for a Unix socket on a system other than Linux
   */
  static ManagedChannelBuilder<?> channel(String address, ChannelCredentials credentials) {
    if (address.startsWith(UNIX) && address.length() > UNIX.length()) {
      return unix(Path.of(address.substring(UNIX.length())), credentials);
    }
    if (HOST_AND_PORT.matcher(address).matches()) {
      return Grpc.newChannelBuilder(target("dns", "/" + address), credentials);
    }
    throw new IllegalArgumentException(
        "an address is unix:PATH or host:port, not \"" + address + "\"");
  }

  private static ManagedChannelBuilder<?> unix(Path path, ChannelCredentials credentials) {
    try {
      ManagedChannelBuilder<?> channel =
          Grpc.newChannelBuilder(target("unix", path.toAbsolutePath().toString()), credentials);
      if (channel instanceof NettyChannelBuilder netty) {
        // It is for TCP: netty would warn of it at each connection.
        netty.withOption(ChannelOption.SO_KEEPALIVE, null);
      }
      // gRPC would make the path the authority.
      return channel.overrideAuthority("localhost");
    } catch (ManagedChannelRegistry.ProviderNotFoundException e) {
      throw new UnsupportedOperationException(
          "Unix sockets need Linux on x86_64 or aarch64; give host:port here", e);
    }
  }

  private static String target(String scheme, String path) {
    try {
      return new URI(scheme, "", path, null).toString();
    } catch (URISyntaxException e) {
      throw new IllegalArgumentException(e);
    }
  }
}
