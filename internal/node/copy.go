package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"ticketing/actors/query"
	"ticketing/runtime/pairs"
	"ticketing/runtime/peer"
	"ticketing/runtime/store"
	"ticketing/runtime/system"
	"ticketing/runtime/wire"
)

// copyPurpose names the streams that carry a node's whole copy of query. The argument is a wantCopy. What is sent: one byte, copyFollows and then
// a stream of package pairs, or copyRefused and why.
const copyPurpose = "query"

const (
	copyFollows = 1
	copyRefused = 2

	// copyID is the ID of the stream, which is of no shard.
	copyID = 0xfffe
	// copyTries is how many nodes are asked for their copy, besides those that cannot be reached.
	copyTries = 3
	// copyReason bounds a refusal in bytes.
	copyReason = 1 << 10
	// copyStep is how many bytes must come within a frameTimeout, or the copy is given up.
	copyStep = 1 << 20
	// copyPrefix is how the names of a copy's files in the spool begin.
	copyPrefix = "query-"
)

// wantCopy says what would be of use.
type wantCopy struct {
	Format uint64 `cbor:"1,keyasint"`
}

// sources are what query follows.
func (n *Node) sources() (all []query.Source) {
	for _, service := range projected {
		for i := range n.sys.Shards(service) {
			all = append(all, query.Source{Service: service, Shard: i})
		}
	}
	return all
}

// sendCopy gives another node this one's copy of query.
func (n *Node) sendCopy(conn net.Conn, node string, arg []byte) {
	defer conn.Close()
	out := pacedConn{conn, n}
	err := n.copyable(arg)
	if err != nil {
		_, _ = out.Write(append([]byte{copyRefused}, err.Error()...))
	} else if _, err = out.Write([]byte{copyFollows}); err == nil {
		view := n.query.View()
		err = errors.Join(writeCopy(out, view), view.Close())
	}
	if err != nil {
		n.log.Debug("the copy of query was not sent", "to", node, "error", err)
	}
}

// copyable says why this node's copy is of no use to another.
func (n *Node) copyable(arg []byte) error {
	var want wantCopy
	if err := wire.Unmarshal(arg, &want); err != nil {
		return err
	}
	if want.Format != query.Format {
		return fmt.Errorf("this node's copy has the format %d", query.Format)
	}
	for _, s := range n.sources() {
		if _, begun := n.query.Cursor(s); !begun {
			return fmt.Errorf("this node's copy still lacks %s", system.Name(s.Service, s.Shard))
		}
	}
	return nil
}

func writeCopy(dst io.Writer, view pebble.Reader) error {
	lo, hi := query.Range()
	it, err := view.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return err
	}
	w := pairs.NewWriter(dst, copyID)
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = w.Pair(it.Key(), it.Value())
	}
	if err := errors.Join(err, it.Error(), it.Close()); err != nil {
		return err
	}
	return w.Finish(0)
}

// pacedConn writes as fast as a node may copy, and gives up on a receiver that does not read.
type pacedConn struct {
	net.Conn
	n *Node
}

func (c pacedConn) Write(p []byte) (int, error) {
	if err := c.n.pace.Wait(c.n.life.Done(), len(p)); err != nil {
		return 0, err
	}
	_ = c.SetWriteDeadline(time.Now().Add(frameTimeout))
	return c.Conn.Write(p)
}

// beginQuery takes over another node's copy of query if this node has none: to index everything anew would take many times as long, and the
// processors from those who use the cluster meanwhile. If nobody can give one, query builds its own from the services' state.
func (n *Node) beginQuery(ctx context.Context) error {
	if begun, err := query.Begun(n.store.State(queryName)); err != nil || begun || !n.cfg.Clustered() {
		return err
	}
	nodes := n.others()
	rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	asked := 0
	for _, node := range nodes {
		if asked == copyTries || ctx.Err() != nil {
			break
		}
		begun, before := time.Now(), n.copied.Load()
		reached, err := n.takeCopy(ctx, node)
		if err == nil {
			n.log.Info("the copy of query was taken over", "from", node, "bytes", n.copied.Load()-before, "took", time.Since(begun))
			break
		}
		if reached {
			asked++
		}
		n.log.Info("the copy of query was not taken over", "from", node, "error", err)
	}
	return nil
}

// others returns the members besides this node.
func (n *Node) others() (nodes []string) {
	for _, node := range n.members.names() {
		if node != n.name {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// sweepCopies removes what a crash has left of a copy.
func (n *Node) sweepCopies() error {
	fs, dir := n.store.FS(), n.store.Spool()
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, copyPrefix) {
			if err := fs.Remove(fs.PathJoin(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeCopy puts another node's copy in the place of what this one has, and reports whether that node answered.
func (n *Node) takeCopy(ctx context.Context, node string) (reached bool, err error) {
	conn, err := n.peers.Open(ctx, node, copyPurpose, wire.Marshal(wantCopy{query.Format}))
	if err != nil {
		return errors.As(err, new(*peer.Refused)), err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	return true, n.readCopy(&copyReader{conn: conn, n: n})
}

// readCopy puts a copy in the place of what this node has, all at once or, on an error, not at all.
func (n *Node) readCopy(in io.Reader) error {
	var first [1]byte
	if _, err := io.ReadFull(in, first[:]); err != nil {
		return err
	}
	if first[0] != copyFollows {
		why, _ := io.ReadAll(io.LimitReader(in, copyReason))
		return fmt.Errorf("refused: %s", why)
	}
	lo, hi := query.Range()
	tables, err := n.store.Replace(queryName, lo, hi, copyPrefix)
	if n.storing(err) != nil {
		return err
	}
	return errors.Join(n.fillCopy(tables, in), n.storing(tables.Discard()))
}

// storing reports an error of the storage, after which nothing goes on.
func (n *Node) storing(err error) error {
	if err != nil {
		n.store.Fatal(fmt.Errorf("taking over the copy of query: %w", err))
	}
	return err
}

// fillCopy writes a copy to tables, and has the database take them in if it is whole.
func (n *Node) fillCopy(tables *store.Replacement, in io.Reader) error {
	lo, hi := query.Range()
	var seen query.Contents
	_, err := pairs.Read(in, copyID, func(key, value []byte) error {
		if string(key) < string(lo) || string(key) >= string(hi) {
			return errors.New("the stream has keys that are not query's")
		}
		if err := seen.See(key, value); err != nil {
			return err
		}
		return n.storing(tables.Set(key, value))
	})
	if err == nil {
		err = seen.Lacks(n.sources())
	}
	if err != nil {
		return err
	}
	count, err := tables.Finish()
	if err == nil {
		err = n.store.Ingest(queryName, copyPrefix, count)
	}
	return n.storing(err)
}

// copyReader counts what comes, and gives up on a sender that is silent, or hardly sends.
type copyReader struct {
	conn net.Conn
	n    *Node
	left int // bytes until there is time again
}

func (r *copyReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		_ = r.conn.SetReadDeadline(time.Now().Add(frameTimeout))
		r.left = copyStep
	}
	n, err := r.conn.Read(p)
	r.left -= n
	r.n.copied.Add(uint64(n))
	return n, err
}
