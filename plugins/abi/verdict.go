package abi

import (
	"errors"

	"ticketing"
)

// Status says how a call of tk_eval ended.
type Status uint8

// The statuses.
const (
	StatusOK      Status = iota // the verdict counts
	StatusAbstain               // the rule has no opinion about this item
	StatusError                 // the rule failed; the code says why
)

// MaxScore is the highest score.
const MaxScore = 10_000

// A Verdict is what a rule answers.
type Verdict struct {
	Status   Status
	Action   ticketing.Action
	Score    uint16 // 0…MaxScore
	Severity uint8
	Code     uint32 // the rule's own
}

// Pack returns the verdict as tk_eval does. The verdict must be valid.
func (v Verdict) Pack() uint64 {
	return uint64(v.Status)<<60 | uint64(v.Action&15)<<56 | uint64(v.Score)<<40 | uint64(v.Severity)<<32 | uint64(v.Code)
}

// The ways in which a verdict can be wrong.
var (
	errStatus = errors.New("unknown status")
	errAction = errors.New("unknown action")
	errScore  = errors.New("score over 10000")
	errSilent = errors.New("an action although the status is not ok")
)

// UnpackVerdict reads what tk_eval returned. An error means that the rule failed.
func UnpackVerdict(bits uint64) (Verdict, error) {
	v := Verdict{
		Status:   Status(bits >> 60),
		Action:   ticketing.Action(bits >> 56 & 15),
		Score:    uint16(bits >> 40),
		Severity: uint8(bits >> 32),
		Code:     uint32(bits),
	}
	switch {
	case v.Status > StatusError:
		return Verdict{}, errStatus
	case v.Action > ticketing.ActionReject:
		return Verdict{}, errAction
	case v.Score > MaxScore:
		return Verdict{}, errScore
	case v.Status != StatusOK && v.Action != ticketing.ActionNone:
		return Verdict{}, errSilent
	}
	return v, nil
}
