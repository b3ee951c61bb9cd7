package system

import (
	"encoding/binary"
	"errors"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/wire"
)

// What travels between nodes, in a google.protobuf.BytesValue. All begin with the version (1 byte), what it is (1), and a number that the
// answer repeats (8), which no other process of the node uses:
//
//	request  1 code(2) flags(1) command or query in CBOR; to a shard's actor
//	call     2 operation(1) deadline in ms from now, uvarint; the rest is the operation's; to the actor "node"
//	answer   3 flags(1) leader: length(1) and name; epoch uvarint, seq uvarint; the value, or an error in CBOR; to the actor "answers"
//
// An envelope of another version is answered with an error, and changes nothing.
const (
	envelopeVersion = 1

	isRequest = 1
	isCall    = 2
	isAnswer  = 3

	envelopeHeader = 1 + 1 + 8
)

// Flags of a request.
const flagAgain = 1

// Flags of an answer.
const (
	flagRetry  = 1
	flagFailed = 2
)

var errEnvelope = errors.New("system: a message of an unknown form")

func appendEnvelope(b []byte, kind byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, envelopeVersion, kind), number)
}

// openEnvelope returns what a message is, its number and its body. A version that is not ours keeps its number, so that it can be answered.
func openEnvelope(b []byte) (kind byte, number uint64, body []byte, err error) {
	if len(b) < envelopeHeader {
		return 0, 0, nil, errEnvelope
	}
	number = binary.BigEndian.Uint64(b[2:])
	if b[0] != envelopeVersion {
		return b[1], number, nil, errEnvelope
	}
	return b[1], number, b[envelopeHeader:], nil
}

func appendRequest(b []byte, code uint16, again bool, payload []byte) []byte {
	flags := byte(0)
	if again {
		flags = flagAgain
	}
	return append(append(binary.BigEndian.AppendUint16(b, code), flags), payload...)
}

// answer is what comes back from another node. Its value is still encoded.
type answer struct {
	retry      bool
	leader     string
	epoch, seq uint64
	value      []byte
	err        error
}

// appendAnswer encodes a reply to a request, or a call's outcome.
func appendAnswer(b []byte, r shard.Reply, value []byte) []byte {
	flags := byte(0)
	if r.Retry {
		flags |= flagRetry
	}
	if r.Err != nil {
		flags |= flagFailed
		var e *ticketing.Error
		if !errors.As(r.Err, &e) {
			e = &ticketing.Error{Kind: ticketing.Internal}
		}
		value = wire.Marshal(e)
	}
	leader := r.Leader[:min(len(r.Leader), 255)]
	b = append(append(b, flags, byte(len(leader))), leader...)
	b = binary.AppendUvarint(b, r.Position.Epoch)
	b = binary.AppendUvarint(b, r.Position.Seq)
	return append(b, value...)
}

// readAnswer decodes what appendAnswer made.
func readAnswer(b []byte) (a answer, err error) {
	if len(b) < 2 || len(b) < 2+int(b[1]) {
		return a, errEnvelope
	}
	flags, leader, rest := b[0], string(b[2:2+int(b[1])]), b[2+int(b[1]):]
	a.retry, a.leader = flags&flagRetry != 0, leader
	for _, n := range []*uint64{&a.epoch, &a.seq} {
		v, size := binary.Uvarint(rest)
		if size <= 0 {
			return a, errEnvelope
		}
		*n, rest = v, rest[size:]
	}
	if flags&flagFailed == 0 {
		a.value = rest
		return a, nil
	}
	e := new(ticketing.Error)
	if err := wire.Unmarshal(rest, e); err != nil {
		return a, err
	}
	a.err = e
	return a, nil
}
