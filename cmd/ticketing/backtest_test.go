package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"testing"

	"ticketing"
)

// endless is a server with a backtest that ends when it is cancelled. A deaf one does not answer to that.
type endless struct {
	*httptest.Server
	cancelled chan struct{}
	over      chan struct{} // the test
}

func newEndless(t *testing.T, deaf bool, interrupt func()) *endless {
	e := &endless{cancelled: make(chan struct{}), over: make(chan struct{})}
	id := ticketing.ID{1}
	show := func(w http.ResponseWriter, state ticketing.BacktestState) {
		fmt.Fprintf(w, `{"id":%q,"rule":"mine","version":"v1","state":%q,"kinds":[]}`, id, state)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/plugins", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"items":[{"name":"mine","version":"v1","digest":%q}]}`, ticketing.Digest{1})
	})
	mux.HandleFunc("POST /api/backtests", func(w http.ResponseWriter, _ *http.Request) { show(w, ticketing.BacktestQueued) })
	mux.HandleFunc("GET /api/backtests/{id}", func(w http.ResponseWriter, _ *http.Request) { show(w, ticketing.BacktestCancelled) })
	mux.HandleFunc("GET /api/backtests/{id}/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: {\"type\":\"progress\",\"state\":\"running\"}\n\n")
		w.(http.Flusher).Flush()
		interrupt()
		select {
		case <-e.cancelled:
			fmt.Fprint(w, "data: {\"type\":\"end\",\"state\":\"cancelled\"}\n\n")
		case <-r.Context().Done():
		case <-e.over:
		}
	})
	mux.HandleFunc("DELETE /api/backtests/{id}", func(w http.ResponseWriter, r *http.Request) {
		if deaf {
			interrupt()
			select {
			case <-r.Context().Done():
			case <-e.over:
			}
			return
		}
		close(e.cancelled)
		show(w, ticketing.BacktestCancelled)
	})
	e.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		close(e.over)
		e.Close()
	})
	t.Setenv("TICKETING_URL", e.URL)
	t.Setenv("TICKETING_TOKEN", "a token")
	return e
}

// TestInterruptedBacktestSaysWhatBecomesOfIt: the first Ctrl-C cancels it, and the second one leaves it alone.
func TestInterruptedBacktestSaysWhatBecomesOfIt(t *testing.T) {
	others := make(chan os.Signal, 1) // without them, a signal that nobody waits for would end the tests
	signal.Notify(others, os.Interrupt)
	defer signal.Stop(others)
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	id := ticketing.ID{1}.String()
	for _, tc := range []struct {
		name string
		deaf bool
		want string
	}{
		{"cancelled", false, "ticketing: the backtest " + id + " is cancelled; ticketing plugin backtests " + id + " shows"},
		{"left", true, "ticketing: the backtest " + id + " may go on in the server; ticketing plugin backtests " + id + " shows it, and with --cancel"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			newEndless(t, tc.deaf, func() {
				if err := self.Signal(os.Interrupt); err != nil {
					t.Error(err)
				}
			})
			code, _, errs := command(t, "", "plugin", "backtest", "mine", "v1")
			if code != 130 || !strings.Contains(errs, tc.want) {
				t.Errorf("exit code %d, %s", code, errs)
			}
		})
	}
	newEndless(t, false, func() {})
	if out := succeed(t, "", "plugin", "backtests", id, "--cancel"); !strings.Contains(out, id+"  mine v1 is cancelled") {
		t.Errorf("%s", out)
	}
	if line := fail(t, "", "plugin", "backtests", "--cancel"); !strings.Contains(line, "needs the id") {
		t.Errorf("%s", line)
	}
}
