package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"ticketing/client"
)

// remote is how a command finds its server and proves who asks.
type remote struct{ url, token, email, ca, fingerprint string }

// flags adds the remote's flags. What the environment says is the default; its secrets are not shown in the help.
func (r *remote) flags(c *cobra.Command) {
	url := os.Getenv("TICKETING_URL")
	if url == "" {
		url = "http://127.0.0.1:8080"
	}
	f := c.Flags()
	f.StringVar(&r.url, "url", url, "the server; also TICKETING_URL")
	f.StringVar(&r.token, "token", "", "bearer token; also TICKETING_TOKEN")
	f.StringVar(&r.ca, "ca", os.Getenv("TICKETING_CA"), "file with the authority of the server's certificate (PEM); also TICKETING_CA")
	f.StringVar(&r.fingerprint, "fingerprint", os.Getenv("TICKETING_FINGERPRINT"),
		"SHA-256 of the server's certificate, which a self-signed server prints at start; also TICKETING_FINGERPRINT")
	f.StringVar(&r.email, "email", "", "sign in as this account, with the password in TICKETING_PASSWORD")
}

// connect returns a client that has signed in. It fails with errNoMajority where that cannot be.
func (r *remote) connect(ctx context.Context) (*client.Client, error) {
	c, err := r.connectToRead(ctx)
	if err == nil && r.signedIn() {
		err = r.withMajority(ctx, c, func(context.Context) error { return nil })
	}
	return c, err
}

// bearer is the token that was given, empty if there is an account to sign in as.
func (r *remote) bearer() string {
	if r.token == "" && r.email == "" {
		return os.Getenv("TICKETING_TOKEN")
	}
	return r.token
}

// signedIn reports whether there is a token from before.
func (r *remote) signedIn() bool { return r.bearer() != "" }

// connectToRead is connect for commands that are answered without a majority, too, if they come with a token.
func (r *remote) connectToRead(ctx context.Context) (*client.Client, error) {
	token := r.bearer()
	o := client.Options{Token: token, Fingerprint: r.fingerprint}
	if r.ca != "" {
		pem, err := os.ReadFile(r.ca)
		if err != nil {
			return nil, err
		}
		o.CA = pem
	}
	c, err := client.New(r.url, o)
	if err != nil || token != "" {
		return c, err
	}
	if r.email == "" {
		return nil, errors.New("say who asks: --token or TICKETING_TOKEN, or --email and TICKETING_PASSWORD")
	}
	password := os.Getenv("TICKETING_PASSWORD")
	if password == "" {
		return nil, errors.New("TICKETING_PASSWORD is not set; it is the password for --email")
	}
	return c, r.withMajority(ctx, c, func(ctx context.Context) error { return c.SignIn(ctx, r.email, password) })
}
