package jwtsidecar_test

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"strings"

	"google.golang.org/grpc"

	jwtsidecar "github.com/jwt-sidecar/jwt-sidecar/clients/go"
)

func ExampleClient_Middleware() {
	sidecar, err := jwtsidecar.New("")
	if err != nil {
		log.Fatal(err)
	}
	orders := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := jwtsidecar.TokenFromContext(r.Context())
		fmt.Fprintf(w, "the orders of %s\n", token.Subject)
	})
	may := sidecar.Middleware(jwtsidecar.Requirements{Scopes: []string{"orders:read"}})
	http.Handle("/orders", may(orders))
}

func ExampleClient_Validate() {
	var sidecar *jwtsidecar.Client
	// A DPoP proof (RFC 9449) belongs to one request, so the handler asks for itself.
	http.HandleFunc("/orders", func(w http.ResponseWriter, r *http.Request) {
		authorization := strings.Join(r.Header.Values("Authorization"), ",")
		presented, isDPoP := strings.CutPrefix(authorization, "DPoP ")
		if !isDPoP {
			presented = ""
		}
		token, err := sidecar.Validate(r.Context(), presented, jwtsidecar.Requirements{
			Proof: jwtsidecar.Proof{
				DPoP:       strings.Join(r.Header.Values("DPoP"), ","),
				HTTPMethod: r.Method,
				HTTPURI:    "https://shop.example" + r.URL.EscapedPath(),
			},
		})
		var refused *jwtsidecar.RefusedError
		if errors.As(err, &refused) && refused.Reason == "EXPIRED" {
			log.Print("a token has expired")
		}
		if err != nil {
			sidecar.Deny(w, r, err)
			return
		}
		fmt.Fprintf(w, "the orders of %s\n", token.Subject)
	})
}

func ExampleClient_StreamServerInterceptor() {
	var sidecar *jwtsidecar.Client
	requirements := jwtsidecar.Requirements{Audiences: []string{"orders"}}
	open := []string{"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"}
	grpc.NewServer(
		grpc.ChainUnaryInterceptor(sidecar.UnaryServerInterceptor(requirements, open...)),
		grpc.ChainStreamInterceptor(sidecar.StreamServerInterceptor(requirements, open...)),
	)
}
