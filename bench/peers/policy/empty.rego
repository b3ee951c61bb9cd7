# A rule with nothing to say.
package moderation

verdict := {"action": "approve"}
