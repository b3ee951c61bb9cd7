package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"
)

// backupSilence is how long a backup may send nothing before it counts as lost.
const backupSilence = 2 * time.Minute

// Backup begins a backup of the whole cluster and returns it as a tar, which the caller reads and closes; for operators. recipient, if not
// empty, is a public key of age, for which the cluster's keys are encrypted. A tar that ends without its file manifest.sha256 broke off.
func (c *Client) Backup(ctx context.Context, recipient string) (io.ReadCloser, error) {
	r := request{method: http.MethodGet, path: "/api/backup", query: url.Values{}}
	if recipient != "" {
		r.query.Set("keys", recipient)
	}
	renewed := false
	for {
		used := c.access()
		body, err := c.download(ctx, r, used)
		var e *Error
		if !errors.As(err, &e) || e.Status != http.StatusUnauthorized || renewed || !c.renewable() {
			return body, err
		}
		renewed = true
		if err := c.renew(ctx, used); err != nil {
			return nil, err
		}
	}
}

// download is one attempt to get a body that may be long.
func (c *Client) download(ctx context.Context, r request, token string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	req, err := c.prepare(ctx, r, token)
	if err != nil {
		cancel()
		return nil, err
	}
	quiet := time.AfterFunc(backupSilence, cancel)
	d := &downloaded{quiet: quiet, cancel: cancel}
	resp, err := c.stream.Do(req)
	if err != nil {
		d.end()
		return nil, c.unanswered(err)
	}
	d.body = resp.Body
	if resp.StatusCode != http.StatusOK {
		defer d.Close()
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxEvent)) // what there is of it
		return nil, refusal(resp, body)
	}
	return d, nil
}

// downloaded is a body that ends when nothing comes for long.
type downloaded struct {
	body   io.ReadCloser
	quiet  *time.Timer
	cancel context.CancelFunc
}

// Read implements io.Reader.
func (d *downloaded) Read(b []byte) (int, error) {
	n, err := d.body.Read(b)
	if n > 0 {
		d.quiet.Reset(backupSilence)
	}
	return n, err
}

// Close implements io.Closer.
func (d *downloaded) Close() error {
	err := d.body.Close()
	d.end()
	return err
}

func (d *downloaded) end() {
	d.quiet.Stop()
	d.cancel()
}
