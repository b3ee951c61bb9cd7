package system

import (
	"bytes"
	"testing"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
)

func TestAnswers(t *testing.T) {
	for name, r := range map[string]shard.Reply{
		"a value":        {Position: ticketing.Position{Epoch: 3, Seq: 1 << 40}},
		"a hint":         {Retry: true, Leader: "n2", Err: ticketing.Errorf(ticketing.Unavailable, "elsewhere")},
		"busy":           {Err: &ticketing.Error{Kind: ticketing.Unavailable, Msg: "busy", RetryAfter: time.Second}},
		"invalid":        {Err: ticketing.InvalidField("name", "too long")},
		"an error of us": {Err: bytes.ErrTooLarge},
	} {
		a, err := readAnswer(appendAnswer(nil, r, []byte("value")))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if a.retry != r.Retry || a.leader != r.Leader || a.epoch != r.Position.Epoch || a.seq != r.Position.Seq || ticketing.KindOf(a.err) != ticketing.KindOf(r.Err) {
			t.Errorf("%s: %+v", name, a)
		}
		if r.Err == nil && string(a.value) != "value" {
			t.Errorf("%s: the value is %q", name, a.value)
		}
		if ticketing.KindOf(r.Err) == ticketing.Internal && a.err.Error() != "internal" {
			t.Errorf("%s: the text of an internal error travels: %v", name, a.err)
		}
	}
}

func TestEnvelopeOfAnotherVersion(t *testing.T) {
	b := appendEnvelope(nil, isRequest, 7)
	b[0]++
	if _, number, _, err := openEnvelope(b); err == nil || number != 7 {
		t.Errorf("number %d, %v: it must be refused, with the number that its answer needs", number, err)
	}
}

// FuzzEnvelopes: whatever another node sends, reading it ends with an error or with what can be written again.
func FuzzEnvelopes(f *testing.F) {
	f.Add(appendRequest(appendEnvelope(nil, isRequest, 1), 3, true, []byte("x")))
	f.Add(appendAnswer(appendEnvelope(nil, isAnswer, 1), shard.Reply{Retry: true, Leader: "n1"}, nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, body, err := openEnvelope(b)
		if err != nil {
			return
		}
		a, err := readAnswer(body)
		if err != nil || a.err != nil {
			return
		}
		r := shard.Reply{Retry: a.retry, Leader: a.leader, Position: ticketing.Position{Epoch: a.epoch, Seq: a.seq}}
		again, err := readAnswer(appendAnswer(nil, r, a.value))
		if err != nil || again.leader != a.leader || again.seq != a.seq || !bytes.Equal(again.value, a.value) {
			t.Errorf("%+v became %+v, %v", a, again, err)
		}
	})
}
