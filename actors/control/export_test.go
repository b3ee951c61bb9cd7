package control

import (
	"context"
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

const opForget = 900

type forget struct {
	ticketing.Meta `cbor:"1,keyasint"`
	Digest         ticketing.Digest `cbor:"2,keyasint"`
}

// Older is the service with an operation that leaves parts behind as an older program did: without a record.
func Older() shard.Spec {
	spec := New()
	spec.Handlers = append(spec.Handlers, shard.Command(opForget, func(tx *shard.Tx, c *forget) (struct{}, error) {
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
