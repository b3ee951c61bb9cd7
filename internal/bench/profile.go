package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// profiled is comments, with profiles if they are asked for.
func (b *bencher) profiled(ctx context.Context, name string, o phaseOptions) (Phase, error) {
	finish := b.profile(ctx, "")
	ph, err := b.comments(ctx, name, o)
	return ph, errors.Join(err, finish())
}

// profile begins to take a CPU profile of every server, for as long as a phase lasts, if that is asked for. finish waits for the files, which
// are called after the nodes, with a prefix; those of a later run replace those of an earlier one.
func (b *bencher) profile(ctx context.Context, prefix string) (finish func() error) {
	if b.o.Profiles == "" {
		return func() error { return nil }
	}
	seconds := max(1, int(b.o.Duration.Seconds()))
	errs := make([]error, len(b.f.nodes))
	var wg sync.WaitGroup
	for i, p := range b.f.nodes {
		wg.Go(func() { errs[i] = p.profile(ctx, seconds, filepath.Join(b.o.Profiles, prefix+p.name+".pprof")) })
	}
	return func() error {
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				return fmt.Errorf("a profile: %w", err)
			}
		}
		return nil
	}
}

func (p *process) profile(ctx context.Context, seconds int, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", p.adminURL, seconds), nil)
	if err != nil {
		return err
	}
	resp, err := answered(ctx, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

// answered sends a request to a server that may only just start.
func answered(ctx context.Context, req *http.Request) (resp *http.Response, err error) {
	late := time.NewTimer(startTimeout)
	defer late.Stop()
	again := time.NewTicker(settleEvery)
	defer again.Stop()
	for {
		if resp, err = http.DefaultClient.Do(req); !errors.Is(err, syscall.ECONNREFUSED) {
			return resp, err
		}
		select {
		case <-again.C:
		case <-late.C:
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
