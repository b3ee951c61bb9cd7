package control

import (
	"encoding/binary"
	"fmt"

	"ticketing"
	"ticketing/runtime/shard"
)

// chunkSize is how much of a module one command carries.
const chunkSize = 256 << 10

// maxVersions bounds the versions of one plugin.
const maxVersions = 1000

type putChunk struct {
	ticketing.Meta `cbor:"1,keyasint"`
	Digest         ticketing.Digest `cbor:"2,keyasint"`
	Number         uint32           `cbor:"3,keyasint"`
	Bytes          []byte           `cbor:"4,keyasint"`
	By             ticketing.ID     `cbor:"5,keyasint,omitzero"`
}

type register struct {
	ticketing.Meta `cbor:"1,keyasint"`
	By             ticketing.Principal `cbor:"2,keyasint"`
	Name           string              `cbor:"3,keyasint"`
	Digest         ticketing.Digest    `cbor:"4,keyasint"`
	Size           int                 `cbor:"5,keyasint"`
	Builtin        bool                `cbor:"6,keyasint,omitempty"`
}

type registered struct {
	Version ticketing.PluginVersion `cbor:"1,keyasint"`
	Existed bool                    `cbor:"2,keyasint,omitempty"`
}

type whichChunk struct {
	Digest ticketing.Digest `cbor:"1,keyasint"`
	Number uint32           `cbor:"2,keyasint"`
}

func number(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func versionKey(name string, n uint32) shard.Key {
	return at(tableVersion, []byte(name), []byte{0}, number(n))
}

func digestKey(name string, d ticketing.Digest) shard.Key {
	return at(tableDigest, []byte(name), []byte{0}, d[:])
}

// register names a module whose parts are stored. The same bytes under the same name are the version that is there; one
// that was rejected begins anew, as a busy machine may have been to blame.
func (s *service) register(tx *shard.Tx, c *register) (registered, error) {
	if !c.By.Roles.Has(ticketing.RoleOperator) {
		return registered{}, ticketing.Errorf(ticketing.Forbidden, "Only an operator may upload a plugin.")
	}
	if err := ticketing.CheckPluginName(c.Name); err != nil {
		return registered{}, err
	}
	if err := platform(tx); err != nil {
		return registered{}, err
	}
	var have uint32
	if tx.Get(digestKey(c.Name, c.Digest), &have) {
		set := present(&tx.View)
		v, n, _ := lookup(&tx.View, &set, c.Name, c.Digest)
		if v.State != ticketing.VersionRejected {
			return registered{v, true}, nil
		}
		v.Reason, v.Golden = "", nil
		err := move(tx, &v, n, ticketing.VersionUploaded, step{by: c.By.ID, why: "uploaded again"})
		return registered{v, true}, err
	}
	for n := range uint32((c.Size + chunkSize - 1) / chunkSize) {
		if !tx.Has(chunkKey(c.Digest, n)) {
			return registered{}, ticketing.Errorf(ticketing.Conflict, "A part of the module is missing; upload it again.")
		}
	}
	next := uint32(1)
	for tx.Has(versionKey(c.Name, next)) {
		next++
	}
	if next > maxVersions {
		return registered{}, ticketing.Errorf(ticketing.Conflict, "A plugin has at most %d versions.", maxVersions)
	}
	v := ticketing.PluginVersion{Name: c.Name, Version: fmt.Sprintf("v%d", next), Digest: c.Digest, Size: c.Size, Builtin: c.Builtin,
		UploadedBy: c.By.ID, UploadedAt: tx.At()}
	if err := move(tx, &v, next, ticketing.VersionUploaded, step{by: c.By.ID}); err != nil {
		return registered{}, err
	}
	tx.Put(digestKey(c.Name, c.Digest), next)
	tx.Delete(uploadKey(c.Digest))
	tx.Emit(&ticketing.PluginUploaded{Version: v})
	return registered{v, false}, nil
}

func (s *service) chunk(v *shard.View, q *whichChunk) ([]byte, error) {
	var b []byte
	if !v.Get(chunkKey(q.Digest, q.Number), &b) {
		return nil, ticketing.Errorf(ticketing.NotFound, "There is no such part of a module.")
	}
	return b, nil
}
