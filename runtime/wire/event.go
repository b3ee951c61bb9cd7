package wire

import (
	"encoding/binary"
	"fmt"
	"time"

	"ticketing"
)

// eventHeader is the length of the part before the data.
const eventHeader = 1 + 2 + 8 + 4 + 16 + 16

// AppendEvent encodes an event's value; the sequence number is its key.
func AppendEvent(b []byte, at int64, d ticketing.EventData) []byte {
	typ, subject, author, rev := d.Header()
	return append(appendEventHeader(b, at, typ, subject, author, rev), Marshal(d)...)
}

// AppendEventOf encodes an event that was read, whether or not its data could be decoded.
func AppendEventOf(b []byte, ev *ticketing.Event) []byte {
	b = appendEventHeader(b, ev.At.UnixMilli(), ev.Type, ev.Subject, ev.Author, ev.Rev)
	if raw, ok := ev.Data.([]byte); ok {
		return append(b, raw...)
	}
	return append(b, Marshal(ev.Data)...)
}

func appendEventHeader(b []byte, at int64, typ ticketing.EventType, subject, author ticketing.ID, rev uint32) []byte {
	b = append(b, 1)
	b = binary.BigEndian.AppendUint16(b, uint16(typ))
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	b = binary.BigEndian.AppendUint32(b, rev)
	b = append(b, subject[:]...)
	return append(b, author[:]...)
}

// ReadEventHeader reads an event without its data, which Data then holds undecoded as []byte, a part of v.
func ReadEventHeader(seq uint64, v []byte) (ticketing.Event, error) {
	if len(v) < eventHeader || v[0] != 1 {
		return ticketing.Event{}, fmt.Errorf("wire: event %d has an unknown format", seq)
	}
	ev := ticketing.Event{
		Seq:  seq,
		Type: ticketing.EventType(binary.BigEndian.Uint16(v[1:])),
		At:   time.UnixMilli(int64(binary.BigEndian.Uint64(v[3:]))).UTC(),
		Rev:  binary.BigEndian.Uint32(v[11:]),
		Data: v[eventHeader:],
	}
	copy(ev.Subject[:], v[15:])
	copy(ev.Author[:], v[31:])
	return ev, nil
}

// DecodeEventData replaces the undecoded data of an event by the typed one. An unknown type is an error.
func DecodeEventData(ev *ticketing.Event) error {
	raw, ok := ev.Data.([]byte)
	if !ok {
		return nil
	}
	d := ticketing.NewEventData(ev.Type)
	if d == nil {
		return fmt.Errorf("wire: event %d is of the unknown type %d", ev.Seq, ev.Type)
	}
	if err := Unmarshal(raw, d); err != nil {
		return err
	}
	ev.Data = d
	return nil
}
