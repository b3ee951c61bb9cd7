package system

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"ticketing"
	"ticketing/runtime/shard"
)

// maxCalls bounds the calls from other nodes that are answered at once; more are refused as Unavailable.
const maxCalls = 1024

// callTimeout is for callers without a deadline.
const callTimeout = 10 * time.Second

// A Handler answers a call from another node, in a goroutine of its own. The context ends when the caller's patience does. The request is
// the handler's.
type Handler func(ctx context.Context, from string, request []byte) ([]byte, error)

// HandleCall sets who answers an operation. Operations are on the wire: never use a number for anything else.
func (s *System) HandleCall(op byte, h Handler) { s.handlers[op].Store(&h) }

// Call asks a node, which may be this one, to do something that is no shard's. Errors other than the handler's are Unavailable; then whether
// it was done is unknown.
func (s *System) Call(ctx context.Context, node string, op byte, request []byte) ([]byte, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	if node == s.name() {
		return s.handle(ctx, node, op, request)
	}
	r := s.remote.Load()
	if r == nil {
		return nil, ticketing.Errorf(ticketing.Unavailable, "This node is alone.")
	}
	number, answers := s.expect(node)
	defer s.pending.Delete(number)
	b := append(appendEnvelope(make([]byte, 0, envelopeHeader+16+len(request)), isCall, number), op)
	b = binary.AppendUvarint(b, uint64(max(remaining(ctx).Milliseconds(), 1)))
	r.send(node, nodeActor, append(b, request...))
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		return nil, &ticketing.Error{Kind: ticketing.Unavailable, Msg: "The node " + node + " does not answer.", Op: "system.Call", Err: ctx.Err()}
	}
}

// called starts to answer a call from another node.
func (s *System) called(msg []byte, from *actor.PID) {
	kind, number, body, err := openEnvelope(msg)
	if kind != isCall || from == nil {
		s.refuse(from, "a message that is no call")
		return
	}
	reply := func(value []byte, err error) {
		b := appendAnswer(appendEnvelope(nil, isAnswer, number), shard.Reply{Err: err}, value)
		s.actors.Root.Send(from, wrapperspb.Bytes(b))
	}
	ms, n := uint64(0), 0
	if err == nil && len(body) > 1 {
		ms, n = binary.Uvarint(body[1:])
	}
	if n <= 0 {
		s.refuse(from, "a call of an unknown form")
		reply(nil, ticketing.Errorf(ticketing.Unavailable, "This node does not know this form of call; it may be of another version."))
		return
	}
	select {
	case s.calls <- struct{}{}:
	default:
		reply(nil, shard.ErrBusy)
		return
	}
	if !s.answers.begin() {
		<-s.calls
		reply(nil, ticketing.Errorf(ticketing.Unavailable, "This node is stopping."))
		return
	}
	go func() {
		defer func() { s.answers.running.Done(); <-s.calls }()
		s.guard(nodeActor, func() {
			ctx, cancel := context.WithTimeout(s.answers.ctx, min(time.Duration(ms)*time.Millisecond, 10*time.Minute))
			defer cancel()
			reply(s.handle(ctx, from.Address, body[0], body[1+n:]))
		})
	}()
}

// answers are the calls of other nodes that are being answered.
type answers struct {
	ctx     context.Context // ends when the node stops
	cancel  context.CancelFunc
	mu      sync.Mutex
	stopped bool           // held: mu
	running sync.WaitGroup // grows only while mu is held and stopped is not set
}

// begin reports whether another call may be answered; whoever answers it says Done to running.
func (a *answers) begin() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.stopped {
		a.running.Add(1)
	}
	return !a.stopped
}

// stop ends what is under way, and waits for it.
func (a *answers) stop() {
	a.mu.Lock()
	a.stopped = true
	a.mu.Unlock()
	a.cancel()
	a.running.Wait()
}

func (s *System) handle(ctx context.Context, from string, op byte, request []byte) ([]byte, error) {
	h := s.handlers[op].Load()
	if h == nil {
		return nil, ticketing.Errorf(ticketing.Unavailable, "This node does not know the call %d; it may be of another version, or still starting.", op)
	}
	return (*h)(ctx, from, request)
}

// expected is an answer that somebody waits for.
type expected struct {
	node    string // that is asked
	answers chan answer
}

// expect makes room for an answer of a node. Whoever expects one deletes it from pending in the end.
func (s *System) expect(node string) (number uint64, answers chan answer) {
	number, answers = s.next.Add(1), make(chan answer, 1)
	s.pending.Store(number, expected{node, answers})
	return number, answers
}

// lost answers everybody who waits for a node to which the connection has ended: whether it did what it was asked is unknown.
func (s *System) lost(node string) {
	s.pending.Range(func(number, e any) bool {
		if e.(expected).node == node {
			if e, ok := s.pending.LoadAndDelete(number); ok {
				e.(expected).answers <- answer{retry: true, err: errLost}
			}
		}
		return true
	})
}

var errLost error = &ticketing.Error{Kind: ticketing.Unavailable, RetryAfter: time.Second,
	Msg: "The connection with another node was lost. Whether it did what it was asked to is unknown."}

// answered hands an answer to whoever waits for it. One that nobody waits for any more is dropped.
func (s *System) answered(msg []byte, from *actor.PID) {
	kind, number, body, err := openEnvelope(msg)
	if kind != isAnswer || err != nil {
		s.refuse(from, "a message that is no answer")
		return
	}
	e, ok := s.pending.LoadAndDelete(number)
	if !ok {
		return
	}
	a, err := readAnswer(body)
	if err != nil {
		s.refuse(from, "an answer of an unknown form")
		a = answer{err: ticketing.Wrap("system", err)}
	}
	e.(expected).answers <- a
}

// requested hands another node's request to a shard's actor, in the actor's goroutine.
func (s *System) requested(a *shard.Actor, msg []byte, from *actor.PID) {
	kind, number, body, err := openEnvelope(msg)
	if kind != isRequest || from == nil {
		s.refuse(from, "a message that is no request")
		return
	}
	reply := func(r shard.Reply) {
		var value []byte
		if r.Err == nil {
			value = encode(r.Value)
		}
		s.actors.Root.Send(from, wrapperspb.Bytes(appendAnswer(appendEnvelope(nil, isAnswer, number), r, value)))
	}
	if err != nil || len(body) < 3 {
		s.refuse(from, "a request of an unknown form")
		reply(shard.Reply{Err: ticketing.Errorf(ticketing.Unavailable, "This node does not know this form of request; it may be of another version.")})
		return
	}
	code := binary.BigEndian.Uint16(body)
	cmd, err := a.Decode(code, body[3:])
	if err != nil {
		s.refuse(from, "a request that cannot be read: "+err.Error())
		reply(shard.Reply{Err: err})
		return
	}
	a.Receive(&shard.Request{Code: code, Cmd: cmd, Answer: reply, Again: body[2]&flagAgain != 0})
}

// undelivered answers another node's request to an actor that has stopped here, or that never ran: the asker looks for the leader elsewhere
// at once. Nothing was evaluated.
func (s *System) undelivered(e *actor.DeadLetterEvent) {
	m, ok := e.Message.(*wrapperspb.BytesValue)
	if !ok || e.PID == nil || e.Sender == nil || e.Sender.Address == s.name() {
		return // or it is our own, which did not reach another node
	}
	kind, number, _, _ := openEnvelope(m.Value)
	service, index, ok := parseName(e.PID.Id)
	if kind != isRequest || !ok {
		return
	}
	r := shard.Reply{Retry: true, Err: &ticketing.Error{Kind: ticketing.Unavailable, RetryAfter: time.Second, Msg: "This node has no replica of " + e.PID.Id + "."}}
	if sh := s.Shard(service, index); sh != nil {
		r.Leader = sh.Leader()
	}
	s.actors.Root.Send(e.Sender, wrapperspb.Bytes(appendAnswer(appendEnvelope(nil, isAnswer, number), r, nil)))
}

// refuse logs what a peer sent and should not have.
func (s *System) refuse(from *actor.PID, what string) {
	node := "nobody"
	if from != nil {
		node = from.Address
	}
	if s.faults.first(node + what) {
		s.log.Warn("a node sent what is not understood; it was refused", "node", node, "what", what)
	}
}
