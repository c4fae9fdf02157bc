package jwtsidecar

import (
	"context"
	"strings"
)

const (
	alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	// A scheme is a token of RFC 9110, section 5.6.2.
	schemeCharacters = alphanumeric + "!#$%&'*+-.^_`|~"
	// RFC 6750, section 2.1; "=" only at the end.
	b64tokenCharacters = alphanumeric + "-._~+/"
)

// bearer takes the token out of the values of Authorization (RFC 6750, section 2.1), without asking the
// sidecar. Its error is a RefusedError.
func bearer(values []string) (string, error) {
	if len(values) > 1 {
		return "", &RefusedError{Reason: tokenMalformed, Message: "there is more than one Authorization"}
	}
	rest, found := afterBearer(strings.Join(values, ""))
	token := strings.TrimLeft(rest, " ")
	switch {
	case !found || token == "":
		return "", &RefusedError{Reason: tokenMissing, Message: "no token was presented"}
	case token == rest || !isB64token(token):
		return "", &RefusedError{Reason: tokenMalformed, Message: "Authorization is not Bearer, spaces and one token"}
	default:
		return token, nil
	}
}

// afterBearer is what follows the scheme Bearer, in any case (RFC 9110, section 11.1).
func afterBearer(value string) (string, bool) {
	rest := strings.TrimLeft(value, schemeCharacters)
	return rest, strings.EqualFold(strings.TrimSuffix(value, rest), "Bearer")
}

func isB64token(text string) bool {
	unpadded := strings.TrimRight(text, "=")
	return unpadded != "" && strings.Trim(unpadded, b64tokenCharacters) == ""
}

// admit validates the token in the values of Authorization and gives it to the context.
func (c *Client) admit(ctx context.Context, authorization []string, requirements Requirements) (context.Context, error) {
	presented, err := bearer(authorization)
	if err != nil {
		return nil, err
	}
	token, err := c.Validate(ctx, presented, requirements)
	if err != nil {
		return nil, err
	}
	return ContextWithToken(ctx, token), nil
}

type tokenKey struct{}

// ContextWithToken gives a token to a handler, as middleware and interceptors do; for the tests of
// handlers.
func ContextWithToken(ctx context.Context, token *Token) context.Context {
	return context.WithValue(ctx, tokenKey{}, token.clone())
}

// TokenFromContext is the token that the middleware or interceptor let pass; false where none did.
// Each call gives a copy of its own, which may be changed.
func TokenFromContext(ctx context.Context) (*Token, bool) {
	token, found := ctx.Value(tokenKey{}).(*Token)
	if !found {
		return nil, false
	}
	return token.clone(), true
}
