package replica

// hooks let tests watch a replica, and break it on purpose.
type hooks struct {
	point func(name string) // called at named points of snapshots and installs

	noFlush       bool // snapshots do not make the state durable
	noSpool       bool // received snapshots are not made durable before they are published
	noSync        bool // the log is not synced
	noCheck       bool // data that do not belong together are not refused
	noPurge       bool // an install keeps the log
	noPlaceholder bool // the entry that a snapshot ends with is not found once it is gone
	noClamp       bool // leaders claim as committed what the request does not show
}

func (h *hooks) at(name string) {
	if h.point != nil {
		h.point(name)
	}
}
