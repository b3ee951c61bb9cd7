// Package control is the service that owns what the whole cluster agrees on: the registry of plugin modules, the generations of the rule
// set, the keys that sign sessions, and the cluster's secrets. It has one shard.
package control

import (
	"ticketing"
	"ticketing/runtime/shard"
)

// Name is the service's name.
const Name = "control"

// Shards is its number of shards.
const Shards = 1

// Codes of the operations, on the wire: never reuse one.
const (
	opPutKeys = iota + 1
	opKeys
	opPutChunk
	opRegister
	opVersions
	opChunk
	opSetRule
	opRuleSet
	opMark
	opMarked
)

// New returns what the service answers to.
func New() shard.Spec {
	s := &service{}
	return shard.Spec{
		Service: Name,
		Handlers: []shard.Handler{
			shard.Command(opPutKeys, s.putKeys),
			shard.Query(opKeys, s.keys),
			shard.Command(opPutChunk, s.putChunk),
			shard.Command(opRegister, s.register),
			shard.Query(opVersions, s.versions),
			shard.Query(opChunk, s.chunk),
			shard.Command(opSetRule, s.setRule),
			shard.Query(opRuleSet, s.ruleSet),
			shard.Command(opMark, s.mark),
			shard.Query(opMarked, s.marked),
		},
	}
}

// Tables of the state, all in slot 0.
const (
	tableKeys    = 'k' // → Keys
	tableVersion = 'p' // plugin name, 0, number(4) → PluginVersion
	tableDigest  = 'd' // plugin name, 0, digest → number
	tableChunk   = 'm' // digest, number(4) → bytes of the module
	tableRuleSet = 'r' // → the present RuleSet
	tablePast    = 'g' // generation(8) → the RuleSet of that generation
	tableMark    = 'f' // name → true: something that is done once in a cluster's life was done
)

func at(table byte, rest ...[]byte) shard.Key { return shard.KeyAt(table, 0, rest...) }

type service struct{}

type nothing struct{}

// Keys are the cluster's secrets. They never leave the nodes.
type Keys struct {
	Kid  string `cbor:"1,keyasint"` // names the signing key in tokens
	Seed []byte `cbor:"2,keyasint"` // Ed25519 seed of the key that signs sessions
	Slot []byte `cbor:"3,keyasint"` // hashes e-mails to slots; can never change
	Mac  []byte `cbor:"4,keyasint"` // signs page cursors
}

type putKeys struct {
	ticketing.Meta `cbor:"1,keyasint"`
	Keys           Keys `cbor:"2,keyasint"`
}

// putKeys stores the cluster's first keys; there is no second time. The reply holds none of them.
func (s *service) putKeys(tx *shard.Tx, c *putKeys) (struct{}, error) {
	if !tx.Has(at(tableKeys)) {
		tx.Put(at(tableKeys), &c.Keys)
	}
	return struct{}{}, nil
}

func (s *service) keys(v *shard.View, _ *nothing) (Keys, error) {
	var k Keys
	if !v.Get(at(tableKeys), &k) {
		return k, ticketing.Errorf(ticketing.NotFound, "The cluster has no keys yet.")
	}
	return k, nil
}

type mark struct {
	ticketing.Meta `cbor:"1,keyasint"`
	Name           string `cbor:"2,keyasint"`
}

type whichMark struct {
	Name string `cbor:"1,keyasint"`
}

func (s *service) mark(tx *shard.Tx, c *mark) (struct{}, error) {
	tx.Put(at(tableMark, []byte(c.Name)), true)
	return struct{}{}, nil
}

func (s *service) marked(v *shard.View, q *whichMark) (bool, error) {
	return v.Has(at(tableMark, []byte(q.Name))), nil
}
