package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/content"
	"github.com/pb33f/libopenapi-validator/errors"

	"ticketing/gateway/openapi"
)

// contract holds what goes over the wire to the description.
type contract struct {
	mu sync.Mutex // the validator fills caches
	// Requests may have parameters that are not described; replies may not have members that are not.
	requests, responses validator.Validator
	model               *openapi.Model
}

// theContract is built once for all tests of the package.
var theContract = sync.OnceValues(func() (*contract, error) {
	d, err := openapi.Load()
	if err != nil {
		return nil, err
	}
	doc, err := libopenapi.NewDocument(d.JSON())
	if err != nil {
		return nil, err
	}
	c := &contract{}
	if c.model, err = d.Model(); err != nil {
		return nil, err
	}
	// Who may call is what TestRoutesAreGuarded and the parity test are for.
	var errs []error
	if c.requests, errs = validator.NewValidator(doc, config.WithoutSecurityValidation(), config.WithFormatAssertions(),
		config.WithBodyDecoder("application/x-ndjson", lines), config.WithBodyDecoder("application/ndjson", lines)); len(errs) > 0 {
		return nil, errs[0]
	}
	c.responses, errs = validator.NewValidator(doc, config.WithoutSecurityValidation(), config.WithFormatAssertions(), config.WithStrictMode(),
		config.WithStrictIgnorePaths(freeForm...), config.WithStrictIgnoredHeadersExtra(undescribedHeaders...))
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return c, nil
})

// lines keeps NDJSON as it is: each of its lines is judged by itself, and by the server.
var lines = content.DecoderFunc(func(in *content.DecodeInput) (any, error) {
	b, err := io.ReadAll(in.Body)
	return string(b), err
})

// freeForm is what operators decide upon, and what differs between nodes.
var freeForm = []string{
	"$.body.config.**", "$.body.items[*].config.**", "$.body.detail.**",
}

// undescribedHeaders are of the protocol, or are on every reply to protect browsers.
var undescribedHeaders = []string{
	"content-security-policy", "x-content-type-options", "x-frame-options", "referrer-policy", "cross-origin-opener-policy",
	"cross-origin-resource-policy", "permissions-policy", "strict-transport-security", "clear-site-data", "content-encoding", "allow",
	"retry-after", "set-cookie", "x-accel-buffering",
}

// ofTheProtocol are the statuses that no operation describes, because every one may have them.
var ofTheProtocol = []int{405, 408, 417, 421, 431, 501, 505}

// operation finds the operation of a request, nil if there is none.
func (k *contract) operation(method, path string) *openapi.Operation {
	got := strings.Split(path, "/")
	var best *openapi.Operation
	for i := range k.model.Operations {
		op := &k.model.Operations[i]
		want := strings.Split(op.Path, "/")
		if op.Method == method && slices.EqualFunc(want, got, func(w, g string) bool { return w == g || strings.HasPrefix(w, "{") && g != "" }) &&
			(best == nil || strings.Count(op.Path, "{") < strings.Count(best.Path, "{")) {
			best = op
		}
	}
	return best
}

// check reports how a request and its reply break the description. A request that the description refuses must be refused
// by the server; the other way round, there are faults that a description cannot know.
func (k *contract) check(req *http.Request, body string, resp *http.Response, reply []byte) error {
	op := k.operation(req.Method, req.URL.EscapedPath())
	if op == nil {
		return checkUndescribed(req, resp)
	}
	name := fmt.Sprintf("%s %s → %d", req.Method, req.URL, resp.StatusCode)
	if slices.Contains(ofTheProtocol, resp.StatusCode) {
		return nil
	}
	if resp.Header.Get("Content-Encoding") != "" {
		return nil // the same reply is checked as plain text elsewhere
	}
	if _, ok := op.Responses.Get(fmt.Sprint(resp.StatusCode)); !ok {
		return fmt.Errorf("%s: the status is not described: %s", name, short(reply))
	}
	if err := k.checkReply(op, req, resp, reply); err != nil {
		return err
	}
	if resp.StatusCode < 300 {
		if err := k.checkRequest(req, body); err != nil {
			return fmt.Errorf("%s: the server takes what the description refuses: %s\n%w", name, short([]byte(body)), err)
		}
	}
	return nil
}

// checkReply returns how a reply breaks the description of an operation.
func (k *contract) checkReply(op *openapi.Operation, req *http.Request, resp *http.Response, reply []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	fresh := *resp
	fresh.Body = io.NopCloser(bytes.NewReader(reply))
	replies := k.responses
	if op.ID == "getDescription" {
		replies = k.requests // a document of somebody else's format: it has what that has
	}
	if ok, errs := replies.ValidateHttpResponse(req, &fresh); !ok {
		return fmt.Errorf("%s %s → %d: the reply is not as described: %s\n%s", req.Method, req.URL, resp.StatusCode, short(reply), explain(errs))
	}
	return nil
}

// checkRequest returns why the description refuses a request.
func (k *contract) checkRequest(req *http.Request, body string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	again := req.Clone(req.Context())
	again.Body = io.NopCloser(strings.NewReader(body))
	again.ContentLength = int64(len(body))
	if ok, errs := k.requests.ValidateHttpRequestSync(again); !ok {
		return fmt.Errorf("%s", explain(errs))
	}
	return nil
}

// checkUndescribed is for what the description does not have: pages are not its business, everything else is refused.
func checkUndescribed(req *http.Request, resp *http.Response) error {
	if !strings.HasPrefix(req.URL.Path, "/api/") || req.Method == http.MethodHead || req.Method == http.MethodOptions {
		return nil
	}
	if resp.StatusCode < 400 || resp.Header.Get("Content-Type") != "application/problem+json" {
		return fmt.Errorf("%s %s is not described, but answers %d", req.Method, req.URL, resp.StatusCode)
	}
	return nil
}

// short makes the beginning of a body fit to be printed.
func short(b []byte) string {
	return strings.ToValidUTF8(string(b[:min(len(b), 400)]), "?")
}

func explain(errs []*errors.ValidationError) string {
	var b strings.Builder
	for _, e := range errs {
		fmt.Fprintf(&b, "  %s: %s\n", e.Message, e.Reason)
		for _, s := range e.SchemaValidationErrors {
			fmt.Fprintf(&b, "    %s: %s\n", s.FieldPath, s.Reason)
		}
	}
	return b.String()
}

// keepContract fails the test when a request and its reply break the description.
func keepContract(t testing.TB, req *http.Request, body string, resp *http.Response, reply []byte) {
	t.Helper()
	k, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	if err := k.check(req, body, resp, reply); err != nil {
		t.Error(err)
	}
}
