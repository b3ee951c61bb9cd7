package main

import (
	"fmt"
	"strings"

	"ticketing"
)

// score compares one rule, or all together, with the labels. Caught means rejected or held.
type score struct {
	Rule       string  `json:"rule"`
	CaughtSpam int     `json:"caughtSpam"`
	MissedSpam int     `json:"missedSpam"`
	CaughtHam  int     `json:"caughtHam"`
	PassedHam  int     `json:"passedHam"`
	Rejected   int     `json:"rejected"`
	Held       int     `json:"held"`
	Failed     int     `json:"failed"`
	Precision  float64 `json:"precision"`
	Recall     float64 `json:"recall"`
	F1         float64 `json:"f1"`
}

// count adds one judged comment.
func (s *score) count(spam, rejected, held bool) {
	if rejected {
		s.Rejected++
	} else if held {
		s.Held++
	}
	caught := rejected || held
	switch {
	case spam && caught:
		s.CaughtSpam++
	case spam:
		s.MissedSpam++
	case caught:
		s.CaughtHam++
	default:
		s.PassedHam++
	}
}

// complete computes the ratios; one without a denominator is 0.
func (s *score) complete() {
	ratio := func(a, b int) float64 {
		if b == 0 {
			return 0
		}
		return float64(a) / float64(b)
	}
	s.Precision = ratio(s.CaughtSpam, s.CaughtSpam+s.CaughtHam)
	s.Recall = ratio(s.CaughtSpam, s.CaughtSpam+s.MissedSpam)
	if sum := s.Precision + s.Recall; sum > 0 {
		s.F1 = 2 * s.Precision * s.Recall / sum
	}
}

// scores compares decisions with labels.
type scores struct {
	Comments     int      `json:"comments"`
	New          int      `json:"new"` // the rest was imported and decided before
	Spam         int      `json:"spam"`
	Seconds      float64  `json:"seconds"`
	MsPerComment float64  `json:"msPerComment"`
	Rules        []*score `json:"rules"`
	All          *score   `json:"all"`

	byRule map[string]*score
}

func newScores() *scores { return &scores{All: &score{Rule: "all rules"}, byRule: map[string]*score{}} }

// add counts a comment by the automatic decision about it.
func (s *scores) add(spam bool, d ticketing.Decision) {
	s.Comments++
	if spam {
		s.Spam++
	}
	s.All.count(spam, d.Status == ticketing.Rejected, d.Status == ticketing.Held)
	for _, r := range d.Rules {
		one := s.byRule[r.Rule]
		if one == nil {
			one = &score{Rule: r.Rule}
			s.byRule[r.Rule] = one
			s.Rules = append(s.Rules, one)
		}
		if r.Failure != "" {
			one.Failed++
		}
		one.count(spam, r.Action == ticketing.ActionReject, r.Action == ticketing.ActionHold)
	}
}

func (s *scores) complete(seconds float64) {
	s.Seconds = seconds
	s.MsPerComment = 1000 * seconds / float64(max(1, s.Comments))
	for _, r := range append(s.Rules, s.All) {
		r.complete()
	}
}

// print writes the table for people.
func (a *app) printScores(s *scores, videos int) error {
	fmt.Fprintf(a.out, "%d comments of %d videos, %d of them labelled spam; ", s.Comments, videos, s.Spam)
	if s.New < s.Comments {
		fmt.Fprintf(a.out, "%d were there already\n\n", s.Comments-s.New)
	} else {
		fmt.Fprintf(a.out, "imported and decided in %.2f s, %.2f ms each\n\n", s.Seconds, s.MsPerComment)
	}
	var rows [][]string
	for _, r := range append(s.Rules, s.All) {
		rows = append(rows, []string{r.Rule, fmt.Sprint(r.CaughtSpam), fmt.Sprint(r.MissedSpam), fmt.Sprint(r.CaughtHam), fmt.Sprint(r.PassedHam),
			fmt.Sprint(r.Rejected), fmt.Sprint(r.Held), percent(r.Precision), percent(r.Recall), percent(r.F1)})
	}
	err := a.table([]string{"RULE", "SPAM CAUGHT", "SPAM MISSED", "HAM CAUGHT", "HAM PASSED", "REJECTED", "HELD", "PRECISION", "RECALL", "F1"}, rows)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	width := 0
	for _, r := range append(s.Rules, s.All) {
		width = max(width, len(r.Rule))
	}
	for _, r := range append(s.Rules, s.All) {
		fmt.Fprintf(a.out, "%-*s  precision %s %s\n", width, r.Rule, bar(r.Precision), percent(r.Precision))
		fmt.Fprintf(a.out, "%-*s  recall    %s %s\n", width, "", bar(r.Recall), percent(r.Recall))
	}
	return nil
}

func percent(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) }

// bar draws a part of 1.
func bar(x float64) string {
	const width = 40
	n := int(x*width + 0.5)
	return strings.Repeat("█", n) + strings.Repeat("░", width-n)
}
