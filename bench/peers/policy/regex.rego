# The rule for OPA in one regular expression, which is made of the words and is data. Only a text that matches is asked for the word.
package moderation

default verdict := {"action": "approve"}

verdict := {"action": "reject", "word": hit[0][1]} if {
	text := lower(input.text)
	regex.match(data.pattern, text)
	hit := regex.find_all_string_submatch_n(data.pattern, text, 1)
}
