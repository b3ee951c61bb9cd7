package control

import (
	"context"
	"fmt"
	"strings"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/system"
)

// Bounds of what is not registered.
const (
	KeepUpload = keepUpload
	MaxUploads = maxUploads
)

const (
	opForget = iota + 900
	opLegacy
	opTables
)

type legacy struct {
	ticketing.Meta `cbor:"1,keyasint"`
	Name           string             `cbor:"2,keyasint"`
	Modules        []ticketing.Digest `cbor:"3,keyasint"`
}

type forget struct {
	ticketing.Meta `cbor:"1,keyasint"`
	Digest         ticketing.Digest `cbor:"2,keyasint"`
}

// Older is the service with an operation that leaves parts behind as an older program did: without a record.
func Older() shard.Spec {
	spec := New(Policy{})
	spec.Handlers = append(spec.Handlers, shard.Command(opLegacy, writeLegacy), shard.Query(opTables, tables), shard.Command(opForget, func(tx *shard.Tx, c *forget) (struct{}, error) {
		tx.Delete(uploadKey(c.Digest))
		return struct{}{}, nil
	}))
	return spec
}

// Forget takes the record of parts away.
func (c Client) Forget(ctx context.Context, d ticketing.Digest) error {
	_, _, err := system.Command[struct{}](ctx, c.sys, Name, 0, opForget, &forget{Digest: d})
	return err
}

// PutPart sends one part of a module.
func (c Client) PutPart(ctx context.Context, at time.Time, by ticketing.ID, d ticketing.Digest, n uint32, part []byte) error {
	_, _, err := system.Command[struct{}](ctx, c.sys, Name, 0, opPutChunk, &putChunk{Meta: ticketing.Meta{At: at}, By: by, Digest: d, Number: n, Bytes: part})
	return err
}

// Part reads one part of a module.
func (c Client) Part(ctx context.Context, d ticketing.Digest, n uint32) ([]byte, error) {
	return system.Query[[]byte](ctx, c.sys, Name, 0, opChunk, &whichChunk{d, n})
}

// writeLegacy writes versions as a program of the first format did, and a rule in which the last one judges and the one before it did.
func writeLegacy(tx *shard.Tx, c *legacy) (struct{}, error) {
	for i, d := range c.Modules {
		n := uint32(i + 1)
		v := &ticketing.PluginVersion{Name: c.Name, Version: fmt.Sprintf("v%d", n), Digest: d, State: ticketing.VersionAdmitted, UploadedAt: tx.At()}
		tx.Put(versionKey(c.Name, n), v)
		tx.Put(digestKey(c.Name, d), n)
		tx.Put(chunkKey(d, 0), []byte{})
		tx.Emit(&ticketing.PluginUploaded{Version: *v})
	}
	last := len(c.Modules) - 1
	set := ticketing.RuleSet{Generation: 1, Rules: []ticketing.Rule{{Name: c.Name, Active: c.Modules[last], Version: fmt.Sprintf("v%d", last+1), Previous: c.Modules[last-1]}}}
	tx.Put(at(tableRuleSet), &set)
	tx.Emit(&ticketing.RuleSetChanged{Set: set})
	return struct{}{}, nil
}

// tables tells of which tables there is anything.
func tables(v *shard.View, _ *nothing) (found string, err error) {
	v.Scan(shard.Key{0, 0}, func(k shard.Key, _ func(any)) bool {
		if table := string(k[2]); !strings.Contains(found, table) {
			found += table
		}
		return true
	})
	return found, nil
}

// Legacy writes versions as a program of the first format did.
func (c Client) Legacy(ctx context.Context, name string, modules ...ticketing.Digest) error {
	_, _, err := system.Command[struct{}](ctx, c.sys, Name, 0, opLegacy, &legacy{Name: name, Modules: modules})
	return err
}

// Tables tells of which tables there is anything.
func (c Client) Tables(ctx context.Context) (string, error) {
	return system.Query[string](ctx, c.sys, Name, 0, opTables, &nothing{})
}
