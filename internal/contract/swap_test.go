package contract

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/plugins/host/hosttest"
)

// swapsWanted is how often the rule is swapped under load, of which the first swapsBefore make the memory what it then stays.
const (
	swapsWanted = 500
	swapsBefore = 100
)

// A swap of a rule while comments flow, 500 times: none is undecided, doubled or judged by two versions; no request fails; what was swapped
// out is freed, and the memory stays as it was.
func TestSwapUnderLoad(t *testing.T) {
	const shards = 4
	dir, admin := t.TempDir(), "127.0.0.1:"+freePort(t)
	s := serveWith(t, dir, append(operatorEnv(), "TICKETING_SHARDS="+strconv.Itoa(shards), "TICKETING_ADMIN="+admin))
	op := s.operator()
	user, post := thread(t, s, "ada")
	retireBuiltins(t, op)
	var turns []map[string]any
	for _, module := range [][]byte{hosttest.ApproveAll, hosttest.RejectAll, hosttest.Empty} { // with three the oldest is freed by every swap
		digest := op.must(t, 201, "POST", "/api/plugins/judge/versions", module).str("digest")
		// The time is so long that a busy machine fails nothing: what fails is judged by the version before.
		turns = append(turns, map[string]any{"active": digest, "allowOlder": true, "limits": map[string]any{"wallMicroseconds": 500_000}})
	}
	op.must(t, 201, "PUT", "/api/rules/judge", turns[2])
	ctx, cancel := context.WithCancel(t.Context())
	var sent, failed atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				r, err := user.do(context.Background(), "POST", "/api/posts/"+post+"/comments", map[string]string{"text": fmt.Sprintf("Remark %d of %d.", n, i)})
				if sent.Add(1); err != nil || r.status != 201 {
					failed.Add(1)
				}
			}
		})
	}
	var before footprint
	for swaps := range swapsWanted {
		if swaps == swapsBefore {
			before = measure(t, admin)
		}
		op.must(t, 200, "PUT", "/api/rules/judge", turns[swaps%3], "If-Match", "*")
	}
	after := measure(t, admin)
	cancel()
	wg.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), sent.Load())
	}
	after.check(t, before, shards)
	wait(t, "everything is decided", func() bool { return pending(t, op) == 0 })
	s.stop()
	a := auditNode(t, vfs.Default, dir)
	a.check(t)
	if len(a.created) != int(sent.Load()) {
		t.Errorf("%d comments stored, %d sent", len(a.created), sent.Load())
	}
	a.oneVersion(t)
	judged := map[ticketing.Digest]bool{}
	for _, rules := range a.generations {
		for d := range rules["judge"] {
			judged[d] = true
		}
	}
	if len(judged) != len(turns) {
		t.Errorf("%d of %d versions judged something", len(judged), len(turns))
	}
	t.Logf("%d comments under %d generations; before %+v, after %+v", sent.Load(), len(a.generations), before, after)
}

// A footprint is what a server holds in memory.
type footprint struct{ heap, resident, versions, instances float64 }

// measure asks the admin address, after a collection.
func measure(t *testing.T, admin string) (f footprint) {
	t.Helper()
	want := map[string]*float64{"go_memstats_heap_alloc_bytes": &f.heap, "process_resident_memory_bytes": &f.resident,
		"ticketing_rules_versions": &f.versions, "ticketing_rules_instances": &f.instances}
	asked(t, "http://"+admin+"/debug/pprof/heap?gc=1")
	metrics := scrape(t, admin)
	for name, to := range want {
		value, ok := metrics[name]
		if !ok {
			t.Fatalf("the metrics lack %s", name)
		}
		*to = value
	}
	return f
}

// scrape reads the metrics at the admin address, by their names with labels.
func scrape(t *testing.T, admin string) map[string]float64 {
	t.Helper()
	metrics := map[string]float64{}
	for line := range strings.Lines(asked(t, "http://"+admin+"/metrics")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			metrics[name] = v
		}
	}
	return metrics
}

// asked returns what is at a URL.
func asked(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d, %v", url, resp.StatusCode, err)
	}
	return string(body)
}

// check fails the test unless a server after many swaps holds what it held before them. A shard keeps the judges of two generations; of
// the versions the last two sets use three. An instance that is not freed costs 128 KiB for every swap and shard: 200 MiB in all.
func (f footprint) check(t *testing.T, before footprint, shards float64) {
	t.Helper()
	if f.versions > 3 || f.instances > 2*shards {
		t.Errorf("%v versions are loaded and %v instances run", f.versions, f.instances)
	}
	if f.heap > before.heap+64<<20 || f.resident > before.resident*1.5+64<<20 {
		t.Errorf("the memory grew: %+v after %d swaps, %+v after %d", before, swapsBefore, f, swapsWanted)
	}
}
