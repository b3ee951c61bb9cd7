package wire

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Deterministic encoding: replicas hash to the same bytes whatever map order the evaluator saw.
var encMode = func() cbor.EncMode {
	o := cbor.CoreDetEncOptions()
	o.Time = cbor.TimeRFC3339Nano
	m, err := o.EncMode()
	if err != nil {
		panic(err) // our own options
	}
	return m
}()

// Fields of a newer version are ignored when read: fields are only ever added.
var decMode = func() cbor.DecMode {
	m, err := cbor.DecOptions{MaxNestedLevels: 32, MaxArrayElements: 1 << 20, MaxMapPairs: 1 << 20}.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}()

// Marshal encodes a domain value for storage or another node. It panics on a type that CBOR cannot encode: our own bug.
func Marshal(v any) []byte {
	b, err := encMode.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("wire: %T: %v", v, err))
	}
	return b
}

// Unmarshal decodes what Marshal encoded into v, a pointer.
func Unmarshal(b []byte, v any) error {
	if err := decMode.Unmarshal(b, v); err != nil {
		return fmt.Errorf("wire: decoding %T: %w", v, err)
	}
	return nil
}
