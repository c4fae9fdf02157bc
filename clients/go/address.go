package jwtsidecar

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// place is where a sidecar listens, in the words of package net.
type place struct{ network, address string }

func parseAddress(text string) (place, error) {
	if path, isUnix := strings.CutPrefix(text, "unix:"); isUnix {
		if path == "" {
			return place{}, fmt.Errorf("jwtsidecar: no path after %q", text)
		}
		// The URL form, unix:///PATH, is common in gRPC.
		if strings.HasPrefix(path, "///") {
			path = strings.TrimPrefix(path, "//")
		}
		return place{"unix", path}, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" || port == "" {
		return place{}, fmt.Errorf("jwtsidecar: the address must be unix:PATH or host:port, not %q", text)
	}
	return place{"tcp", text}, nil
}

// target is what gRPC takes TLS's server name from; it resolves nothing, since dial does.
func (p place) target() string {
	name := p.address
	if p.network == "unix" {
		name = "localhost"
	}
	return (&url.URL{Scheme: "passthrough", Path: "/" + name}).String()
}

// dial connects without the HTTP proxy of the environment: a sidecar is beside its service, and gRPC
// leaves proxies out where the dialer is the client's own.
func (p place) dial(ctx context.Context, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, p.network, p.address)
}
