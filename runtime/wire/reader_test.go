package wire

import (
	"errors"
	"math"
	"reflect"
	"testing"
	"time"
)

// pieces has every type that a Reader reads, and some that it passes over.
type pieces struct {
	Number uint64    `cbor:"1,keyasint"`
	Signed int64     `cbor:"2,keyasint"`
	Is     bool      `cbor:"3,keyasint"`
	Text   string    `cbor:"4,keyasint"`
	Bytes  []byte    `cbor:"5,keyasint"`
	Array  [4]byte   `cbor:"6,keyasint"`
	At     time.Time `cbor:"7,keyasint"`
	List   []uint64  `cbor:"8,keyasint"`
	Other  any       `cbor:"9,keyasint"` // passed over
}

func (p *pieces) read(b []byte) error {
	r := NewReader(b)
	for n := r.Map(); n > 0; n-- {
		switch r.Uint() {
		case 1:
			p.Number = r.Uint()
		case 2:
			p.Signed = r.Int()
		case 3:
			p.Is = r.Bool()
		case 4:
			p.Text = string(r.Text())
		case 5:
			p.Bytes = append(p.Bytes, r.Bytes()...)
		case 6:
			r.Fill(p.Array[:])
		case 7:
			p.At = r.Time()
		case 8:
			for n := r.Array(); n > 0; n-- {
				p.List = append(p.List, r.Uint())
			}
		default:
			r.Skip()
		}
	}
	return r.Err()
}

// A Reader reads what Unmarshal reads, and of a value that is cut off anywhere it says so.
func TestReader(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	for _, p := range []pieces{
		{},
		{Number: 23, Signed: -1, Is: true, Text: "árvíztűrő", Bytes: []byte{1}, Array: [4]byte{1, 2, 3, 4}, At: at, List: []uint64{1, 255, 256, 1 << 20, math.MaxUint64}, Other: 1.5},
		{Number: math.MaxUint64, Signed: math.MaxInt64, Bytes: make([]byte, 300), At: at, Other: map[string][]any{"k": {nil, -5, "text", []byte{1}, map[int]bool{7: true}}}},
		{Number: 1 << 40, Signed: math.MinInt64, Text: "x", Other: [][]float64{{0.1}, {}}},
	} {
		b := Marshal(&p)
		var want, got pieces
		if err := Unmarshal(b, &want); err != nil {
			t.Fatal(err)
		}
		want.Other = nil
		if len(want.Bytes) == 0 {
			want.Bytes = nil
		}
		if err := got.read(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v: %+v, want %+v", err, got, want)
		}
		for i := range b {
			if err := new(pieces).read(b[:i]); !errors.Is(err, ErrValue) {
				t.Errorf("%d of %d bytes: %v", i, len(b), err)
			}
		}
		if err := new(pieces).read(append(b, 0)); !errors.Is(err, ErrValue) {
			t.Errorf("with a byte more: %v", err)
		}
	}
}

// Skip passes over every value that is stored or sent, and over nothing more.
func TestReaderSkips(t *testing.T) {
	for name, v := range golden() {
		r := NewReader(append(Marshal(v), 7))
		if r.Skip(); r.Uint() != 7 || r.Err() != nil {
			t.Errorf("%s: %v", name, r.Err())
		}
	}
}

// What is read as something that it is not is an error.
func TestReaderRefuses(t *testing.T) {
	for name, read := range map[string]func(r *Reader){
		"Map":   func(r *Reader) { r.Map() },
		"Array": func(r *Reader) { r.Array() },
		"Uint":  func(r *Reader) { r.Uint() },
		"Int":   func(r *Reader) { r.Int() },
		"Bool":  func(r *Reader) { r.Bool() },
		"Bytes": func(r *Reader) { r.Bytes() },
		"Text":  func(r *Reader) { r.Text() },
		"Time":  func(r *Reader) { r.Time() },
		"Fill":  func(r *Reader) { r.Fill(make([]byte, 2)) },
	} {
		for _, v := range []any{1.5, "\xff", []byte{1, 2, 3}} {
			if name == "Bytes" && reflect.TypeOf(v).Kind() == reflect.Slice {
				continue
			}
			r := NewReader(Marshal(v))
			if read(&r); !errors.Is(r.Err(), ErrValue) {
				t.Errorf("%s of %v: %v", name, v, r.Err())
			}
		}
		r := NewReader([]byte{0x1b, 255, 255, 255, 255, 255, 255, 255, 255})
		if read(&r); name != "Uint" && !errors.Is(r.Err(), ErrValue) {
			t.Errorf("%s of the largest number: %v", name, r.Err())
		}
	}
}

// Whatever the bytes are, reading ends, and not beyond them.
func FuzzReader(f *testing.F) {
	f.Add(Marshal(&pieces{Signed: -3, Text: "t", Bytes: []byte{1}, List: []uint64{1}, Other: []any{1.5, "x"}}))
	f.Add([]byte{0xbb, 255, 255, 255, 255, 255, 255, 255, 255})
	f.Add([]byte{0xa1, 9, 0x9b, 127, 255, 255, 255, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := new(pieces).read(b); err != nil && !errors.Is(err, ErrValue) {
			t.Error(err)
		}
	})
}
