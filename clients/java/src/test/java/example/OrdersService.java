package example;

import io.jwtsidecar.BearerFilter;
import io.jwtsidecar.Client;
import io.jwtsidecar.Requirements;
import io.jwtsidecar.Token;
import jakarta.servlet.DispatcherType;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.EnumSet;
import org.eclipse.jetty.ee10.servlet.FilterHolder;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;

/** A service whose orders are for those with the scope orders:read. */
public final class OrdersService {

  private OrdersService() {}

  /**
   * Serves on the port of 127.0.0.1 in the first argument, or a free one, and prints its address.
   */
  public static void main(String[] arguments) throws Exception {
    try (Client client = Client.create()) {
      Server server = serve(client, arguments.length == 0 ? 0 : Integer.parseInt(arguments[0]));
      System.out.println(server.getURI());
      server.join();
    }
  }

  private static Server serve(Client client, int port) throws Exception {
    Requirements requirements = Requirements.none().withScopes("orders:read");
    ServletContextHandler context = new ServletContextHandler();
    context.addServlet(new ServletHolder(new Orders()), "/orders");
    context.addFilter(
        new FilterHolder(new BearerFilter(client, "orders", requirements)),
        "/*",
        EnumSet.of(DispatcherType.REQUEST));
    Server server = new Server(new InetSocketAddress("127.0.0.1", port));
    server.setHandler(context);
    server.start();
    return server;
  }

  private static final class Orders extends HttpServlet {

    private static final long serialVersionUID = 1L;

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response)
        throws IOException {
      Token token = BearerFilter.token(request);
      response.setContentType("text/plain");
      response.getWriter().println("orders of " + token.subject());
    }
  }
}
