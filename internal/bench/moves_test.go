package bench

import (
	"testing"
	"time"

	"ticketing"
)

func TestMoves(t *testing.T) {
	begun := time.Unix(1, 0)
	m := newMoves("n4", begun)
	s := whole()
	at := func(ms int) { m.look(s, begun.Add(time.Duration(ms)*time.Millisecond)) }
	at(0)
	g := &s.Groups[0]
	g.Replicas = append(g.Replicas, ticketing.ReplicaStatus{Node: "n4", Stage: ticketing.StageAdding})
	at(100)
	g.Replicas[3].Stage = ticketing.StageLearner
	at(150)
	at(250)
	g.Replicas[3].Stage, g.Leader = ticketing.StageVoter, "n4"
	at(350)
	g.Replicas = g.Replicas[1:]
	at(650)
	all := m.all()
	if len(all) != 1 || all[0] != (Move{Shard: "posts/00", Placed: 100, Learner: 150, Voter: 350, Over: 650}) || m.changes != 1 {
		t.Errorf("%+v, %d changes", all, m.changes)
	}
	if got := steps(append(all, Move{Placed: 1})); got != (Steps{Placing: 50, Data: 200, Removing: 300}) {
		t.Errorf("%+v", got)
	}
}

func TestSeconds(t *testing.T) {
	var s seconds
	s.record(2500*time.Millisecond, 40*time.Millisecond)
	s.record(100*time.Millisecond, 3*time.Millisecond)
	f := s.figures()
	if len(f) != 3 || f[0].Accepted != 1 || f[1] != (Second{}) || f[2].Max < 39 || f[2].Max > 41 {
		t.Errorf("%+v", f)
	}
}
