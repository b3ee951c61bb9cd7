// Package moderation is the service that judges every revision of every post and comment by the rule set, and keeps the decisions. It
// lives in the slots of the items' authors: rules count per author, and a ticket sits beside the decisions that it may overturn.
package moderation

import (
	"log/slog"

	"ticketing"
	"ticketing/runtime/shard"
)

// Name is the service's name.
const Name = "moderation"

// Codes of the operations, on the wire: never reuse one.
const (
	opTakeGeneration = iota + 1
	opGeneration
	opDecisions
)

// Codes of what came with evidence; 40 is opRecord.
const (
	opDecision = iota + 50
	opConfig
	opEvidence
	opCount
	opStats
	opFlushStats
)

// New returns what the service answers and listens to. engine opens the rules that this shard judges by; shards is into how many the
// service is cut.
func New(engine ticketing.RuleEngine, shards int, log *slog.Logger) shard.Spec {
	s := &service{engine: engine, shards: shards, log: log, judges: map[uint64]ticketing.Judge{}, stats: newTally(shards)}
	return shard.Spec{
		Service: Name,
		Handlers: []shard.Handler{
			shard.Command(opTakeGeneration, s.takeGeneration),
			shard.Query(opGeneration, s.generation),
			shard.Query(opDecisions, s.decisions),
			shard.Query(opRecord, s.record),
			shard.Query(opDecision, s.decision),
			shard.Query(opConfig, s.config),
			shard.Query(opEvidence, s.evidence),
			shard.Query(opCount, s.count),
			shard.Query(opStats, s.stats.read),
			shard.Command(opFlushStats, s.stats.flushAll),
		},
		Subscriptions: []shard.Subscription{{
			Producer: "posts", Route: shard.ByAuthor,
			On: map[ticketing.EventType]shard.EventHandler{
				ticketing.EvPostCreated: shard.On(s.postCreated),
				ticketing.EvPostEdited:  shard.On(s.postEdited),
				ticketing.EvPostDeleted: shard.On(s.postDeleted),
			},
		}, {
			Producer: "comments", Route: shard.ByAuthor,
			On: map[ticketing.EventType]shard.EventHandler{
				ticketing.EvCommentCreated: shard.On(s.commentCreated),
				ticketing.EvCommentEdited:  shard.On(s.commentEdited),
				ticketing.EvCommentDeleted: shard.On(s.commentDeleted),
			},
		}, {
			Producer: "users", Route: shard.ByAuthor,
			On: map[ticketing.EventType]shard.EventHandler{
				ticketing.EvUserChanged: shard.On(s.userChanged),
			},
		}, {
			Producer: "tickets", Route: shard.ByAuthor,
			On: map[ticketing.EventType]shard.EventHandler{
				ticketing.EvTicketOpened:  shard.On(s.ticketOpened),
				ticketing.EvTicketDecided: shard.On(s.ticketDecided),
			},
		}},
		Gain: s.gain,
		Lose: s.lose,
	}
}

// PerShard reports whether a value says which rules a shard judges by, or did: where two shards have it, it is the same.
func PerShard(k shard.Key) bool {
	return k.Table() == tableGeneration || k.Table() == tableRuleSet || k.Table() == tableConfig
}

// Tables of the state.
const (
	tableDecision   = 'd' // author id, subject id, revision(4), number(2) → Decision; number 0 is the automatic one
	tableCounts     = 'a' // author id → Counts
	tableCounter    = 'c' // slot, rule, 0, namespace(4), key → WindowCounter
	tableValue      = 'v' // slot, rule, 0, key → storedValue
	tableUsed       = 'u' // slot, rule → used
	tableGeneration = 'g' // slot 0 → generation
	tableRuleSet    = 'r' // slot 0 → RuleSet of the generation
	tableEvidence   = 'e' // decision id → storedEvidence
	tableNames      = 'n' // author id → storedNames
	tableConfig     = 'f' // slot 0, sha256 → the configuration of a rule
	tableStats      = 's' // first slot of the shard (of those there were when it was written), rule, 0, digest, role → storedStats
)
