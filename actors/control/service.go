// Package control is the service that owns what the whole cluster agrees on: its members, the map of shards to nodes, the registry of
// plugin modules, the generations of the rule set, the keys that sign sessions, and the cluster's secrets. It has one shard.
package control

import (
	"ticketing"
	"ticketing/runtime/shard"
)

// Name is the service's name.
const Name = ticketing.ServiceControl

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
	opRotateKeys
	opFound
	opMap
	opJoin
	opAnnounce
	opSetMember
	opFinishMember
	opAssign
	opStage
	opDrop
	opRaise
	opStep
	opSettle
	opQuarantine
	opHistory
	opSign
	opSigners
	opSetSigner
	opOldestUpload
	opSweepUploads
	opResume
)

// New returns what the service answers to under a policy.
func New(p Policy) shard.Spec {
	s := &service{p}
	return shard.Spec{
		Service: Name,
		Handlers: append(s.backtestHandlers(), []shard.Handler{
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
			shard.Command(opRotateKeys, s.rotateKeys),
			shard.Command(opFound, s.found),
			shard.Query(opMap, s.clusterMap),
			shard.Command(opJoin, s.join),
			shard.Command(opAnnounce, s.announce),
			shard.Command(opSetMember, s.setMember),
			shard.Command(opFinishMember, s.finish),
			shard.Command(opAssign, s.assign),
			shard.Command(opStage, s.stage),
			shard.Command(opDrop, s.drop),
			shard.Command(opRaise, s.raise),
			shard.Command(opStep, s.step),
			shard.Command(opSettle, s.settle),
			shard.Command(opQuarantine, s.quarantine),
			shard.Query(opHistory, s.history),
			shard.Command(opSign, s.sign),
			shard.Query(opSigners, s.signers),
			shard.Command(opSetSigner, s.setSigner),
			shard.Query(opOldestUpload, s.oldestUpload),
			shard.Command(opSweepUploads, s.sweepUploads),
			shard.Command(opResume, s.resume),
		}...),
		Redact: redact,
	}
}

// Tables of the state, all in slot 0.
const (
	tableKeys    = 'k' // → Keys
	tableVersion = 'p' // plugin name, 0, number(4) → PluginVersion
	tableDigest  = 'd' // plugin name, 0, digest → number
	tableChunk   = 'm' // digest, number(4) → bytes of the module
	tableUpload  = 'u' // digest → storedUpload, until the module is registered
	tableRuleSet = 'r' // → the present RuleSet
	tablePast    = 'g' // generation(8) → the RuleSet of that generation
	tableHistory = 'h' // plugin name → history: which of its steps are kept
	tableChange  = 'v' // plugin name, 0, number(8) → VersionChange
	tableSigner  = 'q' // key id → SignerKey
	tableMark    = 'f' // name → true: something that is done once in a cluster's life was done

	tableCluster   = 'c' // → clusterHead
	tableMember    = 'n' // node → Member
	tablePlacement = 's' // service, 0, shard(2) → Placement
	tableToken     = 't' // id of a join token → usedToken
	tableFormer    = 'x' // node → when it was forgotten; it needs a new token to come back
)

func at(table byte, rest ...[]byte) shard.Key { return shard.KeyAt(table, 0, rest...) }

type service struct{ policy Policy }

type nothing struct{}

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
