package clustertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Client speaks to the nodes as one user. It is safe for use by several goroutines.
type Client struct {
	token string
	home  int // the number of the node that it mostly goes to
	http  *http.Client
}

// Reply is an answer's status, header and JSON body.
type Reply struct {
	Status int
	Header http.Header
	Body   map[string]any
	Raw    string
}

// Str returns a text of the body.
func (r Reply) Str(key string) string { s, _ := r.Body[key].(string); return s }

// newClient makes a client of nobody. timeout bounds a request.
func newClient(timeout time.Duration) *Client {
	return &Client{http: &http.Client{Timeout: timeout, Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 64}}}
}

// patience is how long a client waits for an answer. The server's own limit is 10 s.
const patience = 12 * time.Second

// with makes a client of the same user with another patience and connections of its own.
func (c *Client) with(timeout time.Duration) *Client {
	o := newClient(timeout)
	o.token = c.token
	return o
}

// Do sends a request to a node. An error means that the outcome is unknown.
func (c *Client) Do(ctx context.Context, n *Node, method, path string, body any, header ...string) (Reply, error) {
	var rd io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return Reply{}, err
		}
		rd = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, n.URL+path, rd)
	if err != nil {
		return Reply{}, err
	}
	req.GetBody = nil // what a closed connection did with a request is for the caller to find out
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Reply{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return Reply{}, err
	}
	r := Reply{Status: resp.StatusCode, Header: resp.Header, Raw: string(raw)}
	_ = json.Unmarshal(raw, &r.Body)
	return r, nil
}

// must sends a request that has to get a status, within a minute: until then, 503 and no answer are tried again under the same key.
func (c *Client) must(tb testing.TB, n *Node, want int, method, path string, body any, header ...string) Reply {
	tb.Helper()
	for end := time.Now().Add(time.Minute); ; pause() {
		r, err := c.Do(context.Background(), n, method, path, body, header...)
		if err == nil && r.Status == want {
			return r
		}
		if err == nil && r.Status != http.StatusServiceUnavailable || time.Now().After(end) {
			tb.Fatalf("%s: %s %s: status %d, want %d: %s %v", n.Name, method, path, r.Status, want, r.Raw, err)
		}
	}
}

// mustEither reads what is there or was deleted.
func (c *Client) mustEither(tb testing.TB, n *Node, path string) Reply {
	tb.Helper()
	for end := time.Now().Add(time.Minute); ; pause() {
		r, err := c.Do(context.Background(), n, http.MethodGet, path, nil)
		if err == nil && (r.Status == http.StatusOK || r.Status == http.StatusNotFound) {
			return r
		}
		if err == nil && r.Status != http.StatusServiceUnavailable || time.Now().After(end) {
			tb.Fatalf("%s: GET %s: status %d: %s %v", n.Name, path, r.Status, r.Raw, err)
		}
	}
}

// SignUp makes an account by a node, and gets a token for it.
func (c *Cluster) SignUp(n *Node, name string) *Client {
	c.tb.Helper()
	email := name + "@example.org"
	newClient(patience).must(c.tb, n, 201, "POST", "/api/users/signup", map[string]string{"email": email, "name": name, "password": "a long passphrase"},
		"Idempotency-Key", "sign-up-"+name)
	return c.SignIn(n, email, "a long passphrase")
}

// SignIn gets a token for an account.
func (c *Cluster) SignIn(n *Node, email, password string) *Client {
	c.tb.Helper()
	cl := newClient(patience)
	cl.token = cl.must(c.tb, n, 200, "POST", "/api/token", map[string]string{"email": email, "password": password}).Str("accessToken")
	return cl
}

// Operator returns the operator's client.
func (c *Cluster) Operator() *Client {
	c.tb.Helper()
	c.opMu.Lock() // not mu: the proxies need that one, and signing in needs the proxies
	defer c.opMu.Unlock()
	if c.op == nil || time.Since(c.opSince) > 5*time.Minute {
		for _, n := range c.Live() {
			if n.Ready() {
				c.op, c.opSince = c.SignIn(n, operatorEmail, operatorPassword), time.Now()
				break
			}
		}
	}
	if c.op == nil {
		c.tb.Fatal("no node is there to sign in at")
	}
	return c.op
}

// command runs the program as an operator does who asks a node, and returns what it prints.
func (c *Cluster) command(n *Node, args ...string) (string, error) {
	c.tb.Helper()
	cmd := exec.Command(Binary(c.tb), append(args, "--url", n.URL, "--email", operatorEmail)...)
	cmd.Env = append(os.Environ(), "TICKETING_PASSWORD="+operatorPassword)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

var errNobody = errors.New("no node answers")
