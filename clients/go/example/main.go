// Command example is a service that lets no request through without a token: reading orders needs the
// scope orders:read, and placing one orders:write.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	jwtsidecar "github.com/jwt-sidecar/jwt-sidecar/clients/go"
)

func main() {
	address := flag.String("listen", "127.0.0.1:8080", "host:port to listen on")
	flag.Parse()
	client, err := jwtsidecar.New("", jwtsidecar.WithRealm("orders"))
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s\n", listener.Addr())
	server := &http.Server{Handler: routes(client), ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.Serve(listener))
}

func routes(client *jwtsidecar.Client) http.Handler {
	may := func(scope string, handler http.HandlerFunc) http.Handler {
		return client.Middleware(jwtsidecar.Requirements{
			Audiences: []string{"orders"},
			Scopes:    []string{scope},
		})(handler)
	}
	routes := http.NewServeMux()
	routes.Handle("GET /orders", may("orders:read", list))
	routes.Handle("POST /orders", may("orders:write", place))
	return routes
}

func list(w http.ResponseWriter, r *http.Request) {
	token, _ := jwtsidecar.TokenFromContext(r.Context())
	fmt.Fprintf(w, "the orders of %s\n", token.Subject)
}

func place(w http.ResponseWriter, r *http.Request) {
	token, _ := jwtsidecar.TokenFromContext(r.Context())
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, "an order for %s\n", token.Subject)
}
