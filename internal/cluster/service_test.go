package cluster

import (
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/store"
)

// The test services are two of one kind, "a" and "b", which listen to each other: an addition to an item of one is heard by the other,
// under the item that the addition names as its peer, and echoed; the first one counts the echo. So feeds form a cycle, between all
// shards of both services.
type (
	// add counts an item up by one.
	add struct {
		ticketing.Meta `cbor:"1,keyasint"`
		Item           ticketing.ID `cbor:"2,keyasint"`
		Peer           ticketing.ID `cbor:"3,keyasint"` // an item of the other service
		Num            uint64       `cbor:"4,keyasint"` // of the command, unique in a run
		Loud           bool         `cbor:"5,keyasint"` // tell the other service
		Fail           bool         `cbor:"6,keyasint"` // refuse, after everything was written
	}
	// added is the reply: the count with this addition.
	added struct {
		Num   uint64 `cbor:"1,keyasint"`
		Count uint64 `cbor:"2,keyasint"`
	}
	// count asks for an item's count.
	count struct {
		Item ticketing.ID `cbor:"1,keyasint"`
	}
)

const (
	opAdd = iota + 1
	opCount
)

// services are the services' names by number; each has some shards.
var services = [...]string{"a", "b"}

const shards = 2

func serviceNumber(name string) int { return int(name[0] - services[0][0]) }

// newItem makes the ID of an item, whose last byte is the number of its service.
func newItem(service int, slot ticketing.Slot, n byte) ticketing.ID {
	id := ticketing.NewID(slot, time.Time{}, 0)
	id[14], id[15] = n, byte(service)
	return id
}

// shardOf returns the shard of an item.
func shardOf(item ticketing.ID) store.ShardID {
	return store.NewShardID(int(item[15]), item.Slot().Shard(shards))
}

// Tables of the state.
const (
	tabCount = 'n' // item → count
	tabDone  = 'd' // item, number → how often the addition was done
	tabHeard = 'h' // peer, number → how often it was heard
	tabEcho  = 'e' // item, number → how often its echo was heard
)

var errPoison = errors.New("poison")

// poisonous reports whether the other service cannot take an addition's event: it is parked there.
func poisonous(num uint64) bool { return num%53 == 0 }

func key(table byte, item ticketing.ID, num uint64) shard.Key {
	return shard.KeyOf(table, item, binary.BigEndian.AppendUint64(nil, num))
}

// more counts a value up and returns it.
func more(tx *shard.Tx, k shard.Key) (n uint64) {
	tx.Get(k, &n)
	tx.Put(k, n+1)
	return n + 1
}

func spec(name, other string) shard.Spec {
	return shard.Spec{
		Service:  name,
		Handlers: []shard.Handler{shard.Command(opAdd, doAdd), shard.Query(opCount, doCount)},
		Subscriptions: []shard.Subscription{{Producer: other, Route: shard.ByAuthor, On: map[ticketing.EventType]shard.EventHandler{
			ticketing.EvCommentCreated: shard.On(hear), ticketing.EvPostCreated: shard.On(hearEcho)}}},
	}
}

func doAdd(tx *shard.Tx, c *add) (added, error) {
	n := more(tx, shard.KeyOf(tabCount, c.Item))
	more(tx, key(tabDone, c.Item, c.Num))
	if c.Loud {
		tx.Emit(&ticketing.CommentCreated{Comment: ticketing.Comment{ID: c.Item, Author: ticketing.Author{ID: c.Peer}, Text: strconv.FormatUint(c.Num, 10)}})
	}
	if c.Fail {
		return added{}, ticketing.Errorf(ticketing.Conflict, "no")
	}
	return added{c.Num, n}, nil
}

func doCount(v *shard.View, q *count) (n uint64, err error) {
	v.Get(shard.KeyOf(tabCount, q.Item), &n)
	return n, nil
}

func hear(tx *shard.Tx, _ *ticketing.Event, e *ticketing.CommentCreated) error {
	num, err := strconv.ParseUint(e.Comment.Text, 10, 64)
	if err != nil {
		return err
	}
	more(tx, key(tabHeard, e.Comment.Author.ID, num))
	tx.Emit(&ticketing.PostCreated{Post: ticketing.Post{ID: e.Comment.Author.ID, Author: ticketing.Author{ID: e.Comment.ID}, Title: e.Comment.Text}})
	if poisonous(num) {
		return errPoison
	}
	return nil
}

func hearEcho(tx *shard.Tx, _ *ticketing.Event, e *ticketing.PostCreated) error {
	num, err := strconv.ParseUint(e.Post.Title, 10, 64)
	if err != nil {
		return err
	}
	more(tx, key(tabEcho, e.Post.Author.ID, num))
	return nil
}
