package system

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"ticketing"
)

func batch(change func(*remote.MessageBatch)) *remote.RemoteMessage {
	b := &remote.MessageBatch{TypeNames: []string{onlyType}, Targets: []*actor.PID{actor.NewPID("n1", "posts/shard/00")}, Senders: []*actor.PID{actor.NewPID("n2", answersActor)},
		Envelopes: []*remote.MessageEnvelope{{TypeId: 0, Target: 0, Sender: 1}}}
	if change != nil {
		change(b)
	}
	return &remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: b}}
}

// TestCheckMessage: proto.actor's reader ends the process on an unknown type, and panics on an index that is out of range. None of these may
// reach it.
func TestCheckMessage(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		msg        *remote.RemoteMessage
	}{
		{"well-formed", "", batch(nil)},
		{"without a sender", "", batch(func(b *remote.MessageBatch) { b.Envelopes[0].Sender = 0 })},
		{"in another's name", "in the name of \"n3\"", batch(func(b *remote.MessageBatch) { b.Senders[0].Address = "n3" })},
		{"nothing", "unknown kind", &remote.RemoteMessage{}},
		{"a disconnect", "unknown kind", &remote.RemoteMessage{MessageType: &remote.RemoteMessage_DisconnectRequest{}}},
		{"a client", "unknown kind", &remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectRequest{ConnectRequest: &remote.ConnectRequest{}}}},
		{"an unknown type", "unknown type", batch(func(b *remote.MessageBatch) { b.TypeNames[0] = "no.such.Type" })},
		{"a system message", "unknown type", batch(func(b *remote.MessageBatch) { b.TypeNames = append(b.TypeNames, "actor.Stop") })},
		{"of a stopped actor", "", batch(func(b *remote.MessageBatch) { b.TypeNames[0], b.Targets[0].Id = deadLetterType, answersActor })},
		{"of a stopped actor, to a shard", "does not wait", batch(func(b *remote.MessageBatch) { b.TypeNames[0] = deadLetterType })},
		{"another actor", "takes none", batch(func(b *remote.MessageBatch) { b.Targets[0].Id = "eventstream" })},
		{"no target", "malformed", batch(func(b *remote.MessageBatch) { b.Envelopes[0].Target = 1 })},
		{"a negative target", "malformed", batch(func(b *remote.MessageBatch) { b.Envelopes[0].Target = -1 })},
		{"no type", "malformed", batch(func(b *remote.MessageBatch) { b.Envelopes[0].TypeId = 1 })},
		{"no such sender", "malformed", batch(func(b *remote.MessageBatch) { b.Envelopes[0].Sender = 2 })},
		{"JSON", "malformed", batch(func(b *remote.MessageBatch) { b.Envelopes[0].SerializerId = 1 })},
		{"a hole", "malformed", batch(func(b *remote.MessageBatch) { b.Envelopes[0] = nil })},
		{"too many", "too many", batch(func(b *remote.MessageBatch) { b.Envelopes = make([]*remote.MessageEnvelope, 4*maxBatch+1) })},
	} {
		err := checkMessage(tc.msg, "n2")
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

// TestLookup: identities are shards' names, and lead to where the table of leaders says.
func TestLookup(t *testing.T) {
	s := New(slog.New(slog.DiscardHandler))
	t.Cleanup(s.Stop)
	s.Define("posts", 2)
	l := &lookup{s}
	get := func(identity string) *actor.PID { return l.Get(cluster.NewClusterIdentity(identity, kindShard)) }
	if pid := get(Name("posts", 1)); pid != nil {
		t.Errorf("%v, and nobody leads", pid)
	}
	s.Shard("posts", 1).SetLeader("n2")
	if pid := get(Name("posts", 1)); pid == nil || pid.Address != "n2" || pid.Id != "posts/shard/01" {
		t.Errorf("%v", pid)
	}
	for _, unknown := range []string{Name("posts", 2), Name("comments", 0), "posts", "posts/shard/x", ""} {
		if pid := get(unknown); pid != nil {
			t.Errorf("%q leads to %v", unknown, pid)
		}
	}
	s.Shard("posts", 1).Doubt("n1") // not the one that is known
	if s.Shard("posts", 1).Leader() != "n2" {
		t.Error("a doubt about another node made us forget the leader")
	}
	s.Shard("posts", 1).Doubt("n2")
	if s.Shard("posts", 1).Leader() != "" {
		t.Error("a leader that does not answer is still asked")
	}
}

// TestNobodyLeads: a question without anybody to answer ends with the caller's patience, as an unknown outcome.
func TestNobodyLeads(t *testing.T) {
	s := New(slog.New(slog.DiscardHandler))
	t.Cleanup(s.Stop)
	s.Define("posts", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := s.Ask(ctx, "posts", 0, 1, &struct{}{})
	if ticketing.KindOf(err) != ticketing.Unavailable {
		t.Errorf("%v", err)
	}
	if _, err := s.Ask(ctx, "nothing", 0, 1, &struct{}{}); ticketing.KindOf(err) != ticketing.Unavailable {
		t.Errorf("an unknown service: %v", err)
	}
}

// TestCallHere: a call to oneself takes no detour, and an unknown one is refused.
func TestCallHere(t *testing.T) {
	s := New(slog.New(slog.DiscardHandler))
	t.Cleanup(s.Stop)
	s.HandleCall(9, func(_ context.Context, from string, b []byte) ([]byte, error) { return append(b, '!'), nil })
	if b, err := s.Call(t.Context(), "", 9, []byte("hello")); err != nil || string(b) != "hello!" {
		t.Errorf("%s, %v", b, err)
	}
	if _, err := s.Call(t.Context(), "", 10, nil); ticketing.KindOf(err) != ticketing.Unavailable {
		t.Errorf("an unknown call: %v", err)
	}
	if _, err := s.Call(t.Context(), "n2", 9, nil); ticketing.KindOf(err) != ticketing.Unavailable {
		t.Errorf("another node, without any: %v", err)
	}
}

// TestNobodyHere: who asks a replica that is no longer on this node is told so at once.
func TestNobodyHere(t *testing.T) {
	s := New(slog.New(slog.DiscardHandler))
	t.Cleanup(s.Stop)
	s.Define("posts", 1)
	s.Shard("posts", 0).SetLeader("n3")
	got := make(chan []byte, 1)
	asker, err := s.spawn("asker", func(c actor.Context) {
		if m, ok := c.Message().(*wrapperspb.BytesValue); ok {
			got <- m.Value
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	gone := actor.NewPID(asker.pid.Address, Name("posts", 0))
	s.actors.Root.RequestWithCustomSender(gone, wrapperspb.Bytes(appendRequest(appendEnvelope(nil, isRequest, 77), 1, false, nil)), asker.pid)
	kind, number, body, err := openEnvelope(<-got)
	if kind != isAnswer || number != 77 || err != nil {
		t.Fatalf("kind %d, number %d, %v", kind, number, err)
	}
	if a, err := readAnswer(body); err != nil || !a.retry || a.leader != "n3" || ticketing.KindOf(a.err) != ticketing.Unavailable {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestOnceIn(t *testing.T) {
	var o onceIn
	if !o.first("a") || o.first("a") || !o.first("b") {
		t.Error("not once")
	}
}
