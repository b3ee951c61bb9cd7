package clustertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"ticketing"
)

// A fault is something bad that happens and ends. It returns when it has ended; the cluster may still need time.
type fault struct {
	name string
	do   func(f *faults) string // says what it did to whom
}

// faults does harm, one fault after another, as a seed says.
type faults struct {
	c   *Cluster
	rng *rand.Rand
	ctx context.Context
	did map[string]int
}

// all are the faults of every run; those of a long one are further below.
var all = []fault{
	{"kill the leader", func(f *faults) string { return f.kill(f.leader()) }},
	{"kill a node", func(f *faults) string { return f.kill(f.any()) }},
	{"stop a node for longer than an election", (*faults).suspend},
	{"isolate the leader", func(f *faults) string { return f.isolate(f.leader(), Hold) }},
	{"cut a node off", func(f *faults) string { return f.isolate(f.any(), Cut) }},
	{"hear nothing from the leader", func(f *faults) string { return f.oneWay(f.leader(), true) }},
	{"the leader hears nothing", func(f *faults) string { return f.oneWay(f.leader(), false) }},
	{"slow connections", (*faults).slow},
	{"drain the leader", (*faults).drain},
}

// long are faults that take longer.
var long = []fault{
	{"kill a majority", (*faults).majority},
	{"lose a disk", (*faults).loseDisk},
	{"add a node, remove it", (*faults).addAndRemove},
	{"slow fsync", (*faults).slowSync},
	{"failing fsync", (*faults).failSync},
	{"full disk", (*faults).fullDisk},
}

// pick chooses a fault, those that were not there yet first.
func (f *faults) pick(from []fault) fault {
	least := slices.MinFunc(from, func(a, b fault) int { return f.did[a.name] - f.did[b.name] })
	var fresh []fault
	for _, one := range from {
		if f.did[one.name] == f.did[least.name] {
			fresh = append(fresh, one)
		}
	}
	return fresh[f.rng.IntN(len(fresh))]
}

// hold lets a fault last.
func (f *faults) hold(least, most time.Duration) time.Duration {
	d := least + time.Duration(f.rng.Int64N(int64(most-least)+1))
	sleepUntil(f.ctx, time.Now().Add(d))
	return d.Round(time.Millisecond)
}

func (f *faults) any() *Node {
	live := f.c.Live()
	return live[f.rng.IntN(len(live))]
}

// leader returns the node that leads a shard of comments, or any if that is not known.
func (f *faults) leader() *Node {
	if s, err := f.c.Status(); err == nil {
		if g := Group(s, "comments", f.rng.IntN(f.c.shards)); g.Leader != "" {
			return f.c.Node(g.Leader)
		}
	}
	return f.any()
}

func (f *faults) kill(n *Node) string {
	n.Kill()
	d := f.hold(200*time.Millisecond, 3*time.Second)
	n.Start()
	return fmt.Sprintf("%s for %v", n.Name, d)
}

func (f *faults) suspend() string {
	n := f.any()
	n.Suspend()
	d := f.hold(2500*time.Millisecond, 5*time.Second)
	n.Resume()
	return fmt.Sprintf("%s for %v", n.Name, d)
}

func (f *faults) isolate(n *Node, mode Mode) string {
	f.c.Net.Split(mode, []string{n.Name}, f.c.Names(n.Name))
	d := f.hold(2*time.Second, 5*time.Second)
	f.c.Net.Heal()
	return fmt.Sprintf("%s for %v", n.Name, d)
}

// oneWay holds what a node sends, or what is sent to it.
func (f *faults) oneWay(n *Node, sends bool) string {
	for _, other := range f.c.Names(n.Name) {
		if sends {
			f.c.Net.Set(n.Name, other, Hold)
		} else {
			f.c.Net.Set(other, n.Name, Hold)
		}
	}
	d := f.hold(2*time.Second, 5*time.Second)
	f.c.Net.Heal()
	return fmt.Sprintf("%s for %v", n.Name, d)
}

func (f *faults) slow() string {
	n := f.any()
	by := time.Duration(20+f.rng.IntN(180)) * time.Millisecond
	for _, other := range f.c.Names(n.Name) {
		f.c.Net.Delay(n.Name, other, by)
		f.c.Net.Delay(other, n.Name, by)
	}
	d := f.hold(2*time.Second, 5*time.Second)
	f.c.Net.Heal()
	return fmt.Sprintf("%s by %v for %v", n.Name, by, d)
}

// drain moves all leaderships off a node, and takes it back.
func (f *faults) drain() string {
	n := f.leader()
	drained := f.c.Member(http.MethodPost, n.Name, "/drain")
	d := f.hold(time.Second, 3*time.Second)
	undrained := f.c.Member(http.MethodPost, n.Name, "/undrain")
	return fmt.Sprintf("%s for %v (%v, %v)", n.Name, d, drained, undrained)
}

// Member changes what is intended with a node, through any node that answers. A cluster that is between two leaders is asked again.
func (c *Cluster) Member(method, node, what string) error {
	op := c.Operator().with(patience)
	err := errNobody
	for began := time.Now(); time.Since(began) < patience; {
		n := c.anyLive()
		if n == nil {
			return errNobody
		}
		var r Reply
		if r, err = op.Do(context.Background(), n, method, "/api/cluster/nodes/"+node+what, nil); err == nil && r.Status == http.StatusOK {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("status %d: %s", r.Status, r.Str("detail"))
			if r.Status != http.StatusServiceUnavailable {
				return err
			}
		}
		time.Sleep(500 * time.Millisecond)
	}
	return err
}

func (f *faults) majority() string {
	live := f.c.Live()
	f.rng.Shuffle(len(live), func(i, j int) { live[i], live[j] = live[j], live[i] })
	down := live[:len(live)/2+1]
	for _, n := range down {
		n.Kill()
	}
	d := f.hold(time.Second, 3*time.Second)
	names := ""
	for _, n := range down {
		n.Start()
		names += n.Name + " "
	}
	return fmt.Sprintf("%sfor %v", names, d)
}

// loseDisk erases a node's data. The others must be well: what they have is all there is.
func (f *faults) loseDisk() string {
	f.c.WaitSettled()
	n := f.any()
	before := n.Record()
	n.Kill()
	n.Erase()
	n.Start()
	n.WaitReady()
	f.c.WaitSettled()
	return fmt.Sprintf("%s, incarnation %d and then %d", n.Name, before.Incarnation, n.Record().Incarnation)
}

// addAndRemove lets a new node get replicas, and leave again.
func (f *faults) addAndRemove() string {
	n := f.c.Add()
	n.Start()
	n.WaitReady()
	f.c.WaitSettled()
	f.c.Leave(n)
	return n.Name
}

// Leave removes a node that is alive: it hands its replicas over, and is forgotten.
func (c *Cluster) Leave(n *Node) {
	c.tb.Helper()
	if err := c.Member(http.MethodDelete, n.Name, ""); err != nil {
		c.tb.Fatalf("%s cannot leave: %v", n.Name, err)
	}
	c.WaitStatus(90*time.Second, func(s ticketing.ClusterStatus) string {
		for _, m := range s.Nodes {
			if m.Node == n.Name {
				return fmt.Sprintf("%s is %v with %d replicas", n.Name, m.State, m.Replicas)
			}
		}
		return ""
	})
	n.Kill()
	c.forget(n)
	c.WaitSettled()
}

// trouble makes system calls of a node fail or late, by tracing it. It returns a function that ends that.
func (n *Node) trouble(inject ...string) (stop func()) {
	n.tb.Helper()
	args := []string{"-f", "-qq", "-o", "/dev/null", "-p", strconv.Itoa(n.Pid()), "-e", "trace=fsync,fdatasync,sync_file_range"}
	for _, i := range inject {
		args = append(args, "-e", "inject="+i)
	}
	cmd := exec.Command("strace", args...)
	var out strings.Builder
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		n.tb.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	return func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
		if out.Len() > 0 {
			n.tb.Log(strings.TrimSpace(out.String()))
		}
	}
}

func (f *faults) slowSync() string {
	n := f.any()
	stop := n.trouble("fsync,fdatasync:delay_enter=200ms")
	d := f.hold(3*time.Second, 6*time.Second)
	stop()
	return fmt.Sprintf("%s for %v", n.Name, d)
}

// failSync makes a node's fsync fail: it must end, and say so.
func (f *faults) failSync() string {
	n := f.any()
	f.c.FailSync(n)
	n.Start()
	return n.Name
}

// FailSync makes a node's fsync fail, and waits until it has ended because of that.
func (c *Cluster) FailSync(n *Node) {
	c.tb.Helper()
	stop := n.trouble("fsync,fdatasync:error=EIO")
	code := n.Ended(30 * time.Second)
	stop()
	if last := tail(n.Log(), 1); code != 1 || !strings.Contains(n.Log(), "input/output error") {
		c.tb.Errorf("%s: after a failed fsync: exit code %d, %s", n.Name, code, last)
	}
}

// fullDisk lets a node run out of room, at once or a little later. It stays without for a while.
func (f *faults) fullDisk() string {
	n := f.leader()
	spare := f.rng.Int64N(2 << 20)
	again := f.c.FillDisk(n, spare)
	d := f.hold(0, 2*time.Second)
	giveRoom(f.c.tb, n.Dir)
	if !n.Running() {
		n.Start()
	}
	return fmt.Sprintf("%s with %d KiB to spare, and without for %v, when it %s", n.Name, spare>>10, d, again)
}

// recover gives the cluster some time after a fault, on most occasions: some faults hit a cluster that is not well yet.
func (f *faults) recover() {
	if f.rng.IntN(4) == 0 {
		f.hold(0, time.Second)
		return
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && f.ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		if s, err := f.c.Status(); err == nil && settled(s) == "" {
			return
		}
	}
}
