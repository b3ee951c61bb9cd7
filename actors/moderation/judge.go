package moderation

import (
	"encoding/binary"
	"log/slog"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
)

type service struct {
	engine ticketing.RuleEngine
	shards int // of the service
	log    *slog.Logger
	judges map[uint64]ticketing.Judge // by generation: the present one, and the one before until the switch has committed
	known  known
	stats  tally
}

// known is the generation as one batch has read it: a batch may be discarded, so the next one reads again.
type known struct{ batch, generation uint64 }

func decisionKey(author, subject ticketing.ID, rev uint32, number uint16) shard.Key {
	k := shard.KeyOf(tableDecision, author, subject[:])
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(k, rev), number)
}

func (s *service) postCreated(tx *shard.Tx, _ *ticketing.Event, e *ticketing.PostCreated) error {
	return s.judge(tx, postItem(&e.Post, e.Post.CreatedAt))
}

func (s *service) postEdited(tx *shard.Tx, _ *ticketing.Event, e *ticketing.PostEdited) error {
	return s.judge(tx, postItem(&e.Post, e.Post.EditedAt))
}

func (s *service) commentCreated(tx *shard.Tx, _ *ticketing.Event, e *ticketing.CommentCreated) error {
	return s.judge(tx, commentItem(&e.Comment, e.Comment.CreatedAt))
}

func (s *service) commentEdited(tx *shard.Tx, _ *ticketing.Event, e *ticketing.CommentEdited) error {
	return s.judge(tx, commentItem(&e.Comment, e.Comment.EditedAt))
}

func (s *service) postDeleted(tx *shard.Tx, _ *ticketing.Event, e *ticketing.PostDeleted) error {
	return s.withdraw(tx, &ticketing.Withdrawn{Kind: ticketing.KindPost, Subject: e.Post.ID, Author: e.Post.Author.ID})
}

func (s *service) commentDeleted(tx *shard.Tx, _ *ticketing.Event, e *ticketing.CommentDeleted) error {
	return s.withdraw(tx, &ticketing.Withdrawn{Kind: ticketing.KindComment, Subject: e.Comment.ID, Author: e.Comment.Author.ID})
}

// judge asks the rules about a revision, and records what follows from their answers. A revision that was judged is not judged again.
func (s *service) judge(tx *shard.Tx, item *ticketing.Item) error {
	s.stats.turn(&tx.View) // before anything is written, by which it looks
	key := decisionKey(item.Author.ID, item.ID, item.Rev, 0)
	if tx.Has(key) {
		return nil
	}
	judge, generation, err := s.current(&tx.View)
	if err != nil {
		return ticketing.Wrap("moderation.judge", err)
	}
	countsKey := shard.KeyOf(tableCounts, item.Author.ID)
	tx.Get(countsKey, &item.Counts)
	counts := item.Counts
	memory := memory{tx: tx, slot: item.Author.ID.Slot()}
	judged := judge.Judge(item, &memory)
	memory.sweep(item.At)
	d := conclude(item, judged.Outcomes)
	d.Generation, d.At = generation, tx.At()
	d.ID = decisionID(item.Author.ID.Slot(), item.ID, item.Rev, 0, d.At)
	count(&counts, d.Status)
	tx.Put(countsKey, &counts)
	tx.Put(key, d)
	if tx.Format() >= ticketing.PlatformFormat { // an older program would keep it when the item is deleted
		keep(tx, d.ID, item, judged.Reads)
	}
	s.stats.count(tx, key, item, &judged)
	tx.Emit(&ticketing.Moderated{Decision: *d})
	return nil
}

func decisionID(slot ticketing.Slot, subject ticketing.ID, rev uint32, number uint16, at time.Time) ticketing.ID {
	n := binary.BigEndian.AppendUint32(nil, rev)
	return ticketing.NewID(slot, at, ticketing.Hash64(subject[:], binary.BigEndian.AppendUint16(n, number)))
}

// conclude combines the rules' answers: the strictest action counts, and when no rule answered a human decides.
func conclude(item *ticketing.Item, outcomes []ticketing.RuleOutcome) *ticketing.Decision {
	d := &ticketing.Decision{Kind: item.Kind, Subject: item.ID, Rev: item.Rev, Author: item.Author.ID, Rules: outcomes}
	var worst *ticketing.RuleOutcome
	for i := range outcomes {
		if o := &outcomes[i]; !o.Abstain && (worst == nil || o.Action > worst.Action) {
			worst = o
		}
	}
	switch {
	case worst == nil:
		d.Status, d.Reason = ticketing.Held, "No rule could decide about it, so a person will."
	case worst.Action == ticketing.ActionReject:
		d.Status, d.Reason = ticketing.Rejected, reason(worst, "It breaks the rule ")
	case worst.Action == ticketing.ActionHold:
		d.Status, d.Reason = ticketing.Held, reason(worst, "A person will look at it because of the rule ")
	default:
		d.Status = ticketing.Approved
	}
	if d.Status != ticketing.Approved {
		d.Post = item.Post
	}
	return d
}

func reason(o *ticketing.RuleOutcome, otherwise string) string {
	switch {
	case o.Failure != "":
		return "The rule " + o.Rule + " could not judge it."
	case o.Detail != "":
		return o.Detail
	}
	return otherwise + o.Rule + "."
}

func count(c *ticketing.Counts, s ticketing.Status) {
	switch s {
	case ticketing.Approved:
		c.Approved++
	case ticketing.Rejected:
		c.Rejected++
	case ticketing.Held:
		c.Held++
	}
}
