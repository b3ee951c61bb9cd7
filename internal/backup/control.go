package backup

import (
	"encoding/binary"

	"ticketing/actors/control"
	"ticketing/runtime/shard"
)

// rewriteControl returns what becomes of a value of control's state in the new cluster; keep is false for what says where the old cluster's
// replicas and members were.
func rewriteControl(key shard.Key, value []byte, p Place) (v []byte, keep bool, err error) {
	if control.Placed(key) {
		return nil, false, nil
	}
	v, err = control.RestoreValue(key, value, p.Secrets)
	return v, true, err
}

func beUint64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }
