package gateway

import (
	"ticketing"
)

// What pages call things. JSON has names of its own.

// brief is a text for one line of a list.
func brief(s string) string {
	const most = 90
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i] + "…"
		}
	}
	return s
}

func outcomeWord(outcome string) string {
	switch outcome {
	case ticketing.OutcomeApprove:
		return "approved"
	case ticketing.OutcomeReject:
		return "rejected"
	case ticketing.OutcomeSuperseded:
		return "settled otherwise"
	}
	return outcome
}

func kindWord(kind string) string {
	switch kind {
	case "held":
		return "Held"
	case "report":
		return "Reports"
	case "support":
		return "Help"
	case "appeal":
		return "Appeals"
	case "rule":
		return "Rules"
	}
	return kind
}

// stateWord says what a state of a version means.
func stateWord(s ticketing.VersionState) string {
	switch s {
	case ticketing.VersionUploaded, ticketing.VersionAdmitted, ticketing.VersionCompiled:
		return "being checked"
	case ticketing.VersionProbed:
		return "ready"
	case ticketing.VersionStandby:
		return "ready to go back to"
	case ticketing.VersionQuarantined:
		return "in quarantine"
	}
	return string(s)
}

// entryWord says what an entry of a timeline is, and who made it as far as the reader may know.
func entryWord(e ticketing.TicketEntry) string {
	who := e.By.Name
	if who == "" {
		who = "A moderator"
		if !e.Staff {
			who = "The system"
		}
	}
	switch e.Kind {
	case ticketing.EntryOpened:
		if e.By.ID.IsZero() {
			return "The ticket was opened"
		}
		return who + " opened the ticket"
	case ticketing.EntryJoined:
		return who + " reported the same"
	case ticketing.EntryClaimed:
		return who + " claimed it"
	case ticketing.EntryReleased:
		return who + " released it"
	case ticketing.EntryNote:
		return who + " noted"
	case ticketing.EntryMessage:
		return who + " wrote"
	case ticketing.EntryEscalated:
		return who + " escalated it"
	case ticketing.EntryDecided:
		return who + " decided: " + outcomeWord(e.Outcome)
	case ticketing.EntryClosed:
		return "Closed: " + outcomeWord(e.Outcome)
	}
	return who
}

// noticeWord says what a notice tells.
func noticeWord(n ticketing.Notice) string {
	what := "post"
	if n.Comment != nil {
		what = "comment"
	}
	switch n.Kind {
	case ticketing.NoticeHeld:
		return "A moderator will decide about your " + what
	case ticketing.NoticeRejected:
		return "Your " + what + " was not published"
	case ticketing.NoticeApproved:
		return "Your " + what + " is published now"
	case ticketing.NoticeReply:
		if n.Comment != nil {
			return n.Comment.Author.Name + " answered you"
		}
		return "Somebody answered you"
	case ticketing.NoticeAnswered:
		return "A moderator answered your ticket"
	case ticketing.NoticeDecided:
		return "Your ticket is closed"
	}
	return "Something happened"
}
