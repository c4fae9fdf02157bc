// Serves the handlers of this test with a router of Go: main ROUTER PORT.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/go-chi/chi/v5"
	"github.com/gorilla/mux"
)

// The narrower first.
var prefixes = []struct{ path, name string }{
	{"/public/hidden", "hidden"},
	{"/public", "public"},
	{"/internal", "internal"},
	{"/admin", "admin"},
	{"/reports", "reports"},
}

func main() {
	routers := map[string]func() http.Handler{"servemux": serveMux, "chi": chiRouter, "gorilla": gorilla}
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready")
	log.Fatal(http.Serve(listener, routers[os.Args[1]]()))
}

func handler(name string) http.HandlerFunc {
	return func(response http.ResponseWriter, request *http.Request) {
		response.Header().Set("X-Handler", name)
		response.Header().Set("X-Path", url.PathEscape(request.URL.Path))
	}
}

func serveMux() http.Handler {
	router := http.NewServeMux()
	for _, prefix := range prefixes {
		router.Handle(prefix.path, handler(prefix.name))
		router.Handle(prefix.path+"/", handler(prefix.name))
	}
	router.Handle("/keys", handler("keys"))
	router.Handle("/", handler("other"))
	return router
}

func chiRouter() http.Handler {
	router := chi.NewRouter()
	for _, prefix := range prefixes {
		router.Handle(prefix.path, handler(prefix.name))
		router.Handle(prefix.path+"/*", handler(prefix.name))
	}
	router.Handle("/keys", handler("keys"))
	router.Handle("/*", handler("other"))
	return router
}

func gorilla() http.Handler {
	router := mux.NewRouter()
	for _, prefix := range prefixes {
		router.Handle(prefix.path, handler(prefix.name))
		router.PathPrefix(prefix.path + "/").Handler(handler(prefix.name))
	}
	router.Handle("/keys", handler("keys"))
	router.PathPrefix("/").Handler(handler("other"))
	return router
}
