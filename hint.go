package ticketing

import "context"

// HintKind is what a hint is about.
type HintKind uint8

const (
	HintFeed    HintKind = iota + 1 // a post that everybody sees, or the number of its comments
	HintComment                     // a comment that everybody sees
	HintItem                        // a post or comment of the watcher
	HintTicket                      // a ticket that the watcher may see
	HintNotice                      // the watcher's notices
)

var hintKindNames = [...]string{"", "feed", "comment", "item", "ticket", "notice"}

func (k HintKind) String() string {
	if int(k) < len(hintKindNames) {
		return hintKindNames[k]
	}
	return ""
}

// Hint says that something changed; whoever cares reads it again. When much changes at once, one hint without an ID stands for several of
// its kind.
type Hint struct {
	Kind   HintKind
	Item   ItemKind    // of HintItem
	ID     ID          // the post, comment or ticket
	Post   ID          // of a comment
	Status Status      // of HintItem
	State  TicketState // of HintTicket
}

// MaxResume bounds [Changes].At, in bytes.
const MaxResume = 8 << 10

// Interest is what somebody watches: what their Viewer may see, and the comments of a post if one is given.
type Interest struct {
	Viewer Viewer
	Post   ID
}

// Changes are the hints since the last ones.
type Changes struct {
	Hints []Hint // a few hundred at most
	Reset bool   // more than that is missing: read everything again
	At    string // where to resume, on any node; [MaxResume] printable ASCII characters at most
}

// Watch follows changes for one watcher. It is used by one goroutine.
type Watch interface {
	// Next waits for changes. When ctx ends first it returns ctx's error with an At that is as good as the next one, and may be called
	// again; when the service stops it is Unavailable.
	Next(ctx context.Context) (Changes, error)
	// Close ends the watch. It must be called.
	Close()
}
