package meter

// A dispatch is a loop that begins with a jump to what a local says: loop, blocks, local.get, br_table. A compiler whose flow of control does
// not nest puts all code of a function into one such loop, and goes from one piece to another by setting the local and beginning the loop again;
// the Go toolchain does. Most of these jumps go forward, to the end of a block that is still open. So the loop itself does not look whether fuel
// is left, but every branch to it does of which it is not certain that it goes forward.
type dispatch struct {
	frame    int // of the loop
	local    uint32
	from, to int // of walker.targets: the frames that the table's labels mean, the last for all other numbers
}

// A trail is what the last instructions were, as far as they are a part of a dispatch or of a jump by one.
type trail struct {
	step   step
	frame  int    // of the loop
	local  uint32 // that was read or set
	number uint32 // that it was set to
}

type step byte

const (
	stepNone   step = iota
	stepLoop        // a loop, and blocks
	stepRead        // …and local.get
	stepNumber      // i32.const
	stepSet         // …and local.set
)

// trace goes on with the trail, by an instruction that does not steer and has been read. number is its operand.
func (w *walker) trace(op byte, before trail, number uint32) {
	switch {
	case op == opLocalGet && before.step == stepLoop:
		w.trail = trail{step: stepRead, frame: before.frame, local: number}
	case op == opI32Const:
		w.trail = trail{step: stepNumber, number: number}
	case op == opLocalSet && before.step == stepNumber:
		w.trail = trail{step: stepSet, local: number, number: before.number}
	}
}

// table reads the labels of a br_table.
func (w *walker) table(at int, before trail) {
	from, looks := len(w.targets), false
	head := before.step == stepRead
	for n := int64(w.r.u32()); n >= 0 && w.r.ok(); n-- {
		to := w.branch()
		looks = looks || w.frames[to].dispatch > 0
		if head {
			head = to != before.frame
			w.targets = append(w.targets, int32(to))
		}
	}
	if looks {
		w.look(at)
	}
	if head && w.r.ok() {
		w.dispatches = append(w.dispatches, dispatch{before.frame, before.local, from, len(w.targets)})
		w.frames[before.frame].dispatch = len(w.dispatches)
		w.segments[w.current].looks = false
	}
}

// again notes a branch to a frame, which is a look if that is the loop of a dispatch and the jump may go back.
func (w *walker) again(at, to int, before trail) {
	if d := w.frames[to].dispatch; d > 0 && !w.forward(&w.dispatches[d-1], before) {
		w.look(at)
	}
}

// forward reports whether a jump by a dispatch certainly leads to code that stands behind it: to the end of a block that is open.
func (w *walker) forward(d *dispatch, before trail) bool {
	if before.step != stepSet || before.local != d.local {
		return false
	}
	to := int(w.targets[min(d.from+int(before.number), d.to-1)])
	if to < d.frame {
		return true // out of the loop
	}
	// The blocks of a dispatch are opened one after the other. One at its place that came later is another.
	return to < len(w.frames) && w.frames[to].serial == w.frames[d.frame].serial+to-d.frame
}

// look inserts a look whether fuel is left.
func (w *walker) look(at int) {
	if w.dead {
		return
	}
	w.insert(editLook, at)
	w.countBranches(checkBranches)
}
