package abi_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"strings"
	"testing"

	"ticketing"
	"ticketing/plugins/abi"
)

var update = flag.Bool("update", false, "write the golden files")

func sample() (abi.Header, []abi.Field) {
	id := bytes.Repeat([]byte{0xab}, 16)
	return abi.Header{Flags: abi.FlagEdit, Time: 1_772_366_400_000, Seed: 0x0123456789abcdef}, []abi.Field{
		{ID: abi.FieldKind, Type: abi.TypeNumber, Number: 2},
		{ID: abi.FieldItem, Type: abi.TypeBytes, Bytes: id},
		{ID: abi.FieldTitle, Type: abi.TypeText, Text: "Über uns"},
		{ID: abi.FieldRevision, Type: abi.TypeNumber, Number: 3},
		{ID: abi.FieldText, Type: abi.TypeText, Text: "hello"},
	}
}

// TestFrameGolden fixes the bytes: guests that are out there read them.
func TestFrameGolden(t *testing.T) {
	h, fields := sample()
	got := hex.Dump(abi.AppendFrame(nil, h, fields, abi.MaxFrame))
	const path = "testdata/frame.golden"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the frame has changed:\n%s", got)
	}
}

func TestFrameRoundTrip(t *testing.T) {
	h, fields := sample()
	prefix := []byte("before")
	b := abi.AppendFrame(prefix, h, fields, abi.MaxFrame)
	f, err := abi.ParseFrame(append(b[len(prefix):], "behind"...))
	if err != nil {
		t.Fatal(err)
	}
	if f.Header != h || f.Fields() != len(fields) {
		t.Errorf("%+v with %d fields", f.Header, f.Fields())
	}
	for i := range fields {
		v, ok := f.Field(fields[i].ID)
		if !ok || v.Cut || v.Type != fields[i].Type || !bytes.Equal(v.Data, fields[i].AppendValue(nil)) {
			t.Errorf("field %d: %+v %v", fields[i].ID, v, ok)
		}
	}
	if v, _ := f.Field(abi.FieldRevision); v.Number() != 3 {
		t.Errorf("revision %d", v.Number())
	}
	if _, ok := f.Field(abi.FieldParent); ok {
		t.Error("there is a parent")
	}
}

func TestFrameIsCut(t *testing.T) {
	h, fields := sample()
	fields[4].Text = strings.Repeat("é", 10_000)
	b := abi.AppendFrame(nil, h, fields, abi.MinBuffer)
	f, err := abi.ParseFrame(b)
	if err != nil || len(b) > abi.MinBuffer || len(b) < abi.MinBuffer-1 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if v, _ := f.Field(abi.FieldText); !v.Cut || v.Type != abi.TypeText || len(v.Data)%2 != 0 {
		t.Errorf("%d bytes of the text, cut: %v", len(v.Data), v.Cut)
	}
	if v, _ := f.Field(abi.FieldTitle); v.Cut || string(v.Data) != fields[2].Text {
		t.Errorf("title: %+v", v)
	}
}

func TestAppendFrameDoesNotAllocate(t *testing.T) {
	h, fields := sample()
	b := make([]byte, 0, abi.MaxFrame)
	if n := testing.AllocsPerRun(100, func() { b = abi.AppendFrame(b[:0], h, fields, abi.MaxFrame) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestVerdicts(t *testing.T) {
	v := abi.Verdict{Action: ticketing.ActionReject, Score: 10_000, Severity: 200, Code: 0xdeadbeef}
	if bits := v.Pack(); bits != 0x042710c8deadbeef {
		t.Errorf("packed %#x", bits)
	}
	for _, tc := range []struct {
		bits uint64
		want abi.Verdict
		ok   bool
	}{
		{0, abi.Verdict{}, true},
		{0x042710c8deadbeef, v, true},
		{0x1000000000000000, abi.Verdict{Status: abi.StatusAbstain}, true},
		{0x200000000000002a, abi.Verdict{Status: abi.StatusError, Code: 42}, true},
		{0x3000000000000000, abi.Verdict{}, false},
		{0x0500000000000000, abi.Verdict{}, false},
		{0x0027110000000000, abi.Verdict{}, false},
		{0x1300000000000000, abi.Verdict{}, false},
	} {
		if got, err := abi.UnpackVerdict(tc.bits); got != tc.want || (err == nil) != tc.ok {
			t.Errorf("%#x: %+v, %v", tc.bits, got, err)
		}
	}
}

func FuzzVerdict(f *testing.F) {
	for _, bits := range []uint64{0, 0x042710c8deadbeef, 1 << 63, 1<<60 | 1<<56} {
		f.Add(bits)
	}
	f.Fuzz(func(t *testing.T, bits uint64) {
		v, err := abi.UnpackVerdict(bits)
		if err == nil && v.Pack() != bits {
			t.Errorf("%#x is read as %+v, which is %#x", bits, v, v.Pack())
		}
	})
}

func FuzzFrame(f *testing.F) {
	h, fields := sample()
	good := abi.AppendFrame(nil, h, fields, abi.MaxFrame)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(good[:abi.HeaderSize])
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := abi.ParseFrame(b)
		if err != nil {
			return
		}
		for id := range abi.FieldEnd {
			if v, ok := frame.Field(id); ok {
				_ = v.Number()
			}
		}
	})
}
