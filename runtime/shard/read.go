package shard

// Read calls fn with this replica's state as of one moment, which may be behind the leader's. It works whether the replica leads or not,
// and beside the actor.
func (a *Actor) Read(fn func(v *View) error) (err error) {
	snap := a.log.DB().NewSnapshot()
	defer snap.Close()
	defer func() {
		switch p := recover().(type) {
		case nil:
		case errDecode:
			err = p.err
		default:
			panic(p)
		}
	}()
	return fn(&View{shard: a.shard, db: snap, fatal: a.fatal})
}
