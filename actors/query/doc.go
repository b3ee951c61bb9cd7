// Package query implements [ticketing.QueryService] as a projection: each node keeps its own copy of what users, posts, comments and
// tickets say in their event logs, shaped for reading. It is not replicated and never the truth; it can be thrown away and built again
// from the producers' state ([Projection.Load]) and the events that follow ([Projection.Apply]), or be begun with what another node's DB holds
// ([Projection.View], [Contents]).
//
// # Consistency
//
// The DB has no WAL. A batch of events, everything that follows from it and the moved cursor are one Pebble batch, so a crash leaves a
// prefix of the batches, and the source is read again from the cursor found. Posts and comments are merged by [ticketing.Content].Moved,
// tickets by their Moved: later knowledge wins, so loading what is already known, or events that are already part of what was loaded,
// change nothing. Deleted items stay as tombstones without texts.
//
// # Keys
//
// The first byte is the kind. Numbers are big endian; a place is time(8) id(16), the time in ms since 1970 with its sign bit flipped, so
// that places sort by time and then by ID, which is the order of every list.
//
//	a post(16)                 comments of a post: visible count, latest place        (uvarint, place)
//	c post(16) place           comment                                                (see codec.go)
//	f place                    post in the feed: visible(1) author(16)
//	g segment(4)               search segment: documents, newest and oldest place, filter of its words
//	i 0 place                  tickets: state(1)
//	i 1 state(1) place         tickets by state: state(1)
//	i 2 user(16) place         tickets that the user opened or joined, or about their held items: state(1)
//	i 3 user(16) place         open tickets that the user has claimed: state(1)
//	i 4 user(16) place         tickets about the user's items: state(1)
//	i 5 state(1) kind(1) place tickets by state and kind: state(1)
//	i 6 place                  open tickets that are escalated: state(1)
//	l number(8)                documents of one batch that no search segment holds yet: document…
//	m name                     "format": version; "totals": counters
//	n user(16) place           notice by its time and what it is about: class(1) post(16)
//	o comment(16)              time(8) of a comment whose CreatedAt is not the time in its ID
//	p post(16)                 post                                                   (CBOR)
//	r user(16)                 time(8) up to which the user has read their notices
//	s service / shard(2)       cursor: epoch(8) seq(8)
//	t ticket(16)               ticket                                                 (CBOR)
//	u user(16)                 user                                                   (CBOR)
//	w segment(4) last word     words of a segment, in blocks: (word, document numbers)…
//	x segment(4) chunk(2)      documents of a segment, newest first: document…
//	y author(16) kind(1) place post or comment of an author: post(16) for a comment
//	z author(16) kind(1) status(1) place  the rejected and the held ones among them: the same
//
// # Notices
//
// A notice is a function of the item or ticket that it is about, as it is now: what is in the key follows from it, and the text is read
// from it when the notice is shown. So notices that were built from events and from the producers' state are the same. Of a user's notices
// the newest [ticketing.MaxNotices] are shown; older ones are removed from time to time.
//
// # Hints
//
// Whoever watches ([Projection.Watch]) gets hints of what changed, after it was committed. They are kept in a ring in memory, which is only
// filled while somebody watches, or did recently. A place in it is told to clients as the positions of all producers, so that it is valid
// on every node; whoever was away for longer than the ring remembers begins again.
//
// # Search
//
// The newest documents (items with a shown text) are indexed in memory; when there are enough of them they become a segment: its
// documents newest first, and for each word the numbers of the documents that have it. A filter per segment, kept in memory, tells which
// segments may have a word. Kind l names the documents that are only in memory, so that Open indexes them again. Nothing is removed from
// a segment: a hit is checked against the item as it is now.
//
// # Memory
//
// Everything in memory is bounded: the feed's window (1,024 posts of 48 bytes), posts (8 MB), comments that wait for a decision (4 MB),
// comment counts (4 MB), names (2 MB), and the search segment being filled (16,384 documents, 400,000 postings: about 6 MB; up to
// three times that while one is being written), the ring of hints (8,192 of 80 bytes, once somebody watches), plus the filters of finished segments (about 30 kB per 16,384 documents: 2 MB for a
// million). Together 25 to 40 MB.
package query
